"""The project: settings, the clock's entries, the queues, the pages, the addresses."""

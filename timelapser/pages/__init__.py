"""The pages for people: each is composed of several apps, so they live in the project."""

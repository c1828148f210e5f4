// One WebSocket a page. Where it is blocked the same events are polled; either way they are hints, the truth is pulled.

const POLL_MS = 2000;
const LONGEST_WAIT_MS = 20000;

export class Live {
  /** topics: ["fleet", "timelapse.3"]; latest: the last event id that the page already shows. */
  constructor({ topics, latest, onEvents, onLost, onStatus }) {
    Object.assign(this, { topics, onEvents, onLost, onStatus });
    this.latest = latest;
    this.seen = new Set();
    this.failures = 0;
    this.socket = null;
    this.pollTimer = null;
    this.connectTimer = null;
  }

  start() {
    this.connect();
    addEventListener("online", () => this.retryNow());
    addEventListener("offline", () => this.onStatus("offline"));
    addEventListener("pagehide", () => this.stop());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.retryNow();
    });
  }

  stop() {
    clearTimeout(this.connectTimer);
    clearTimeout(this.pollTimer);
    this.pollTimer = null;
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  retryNow() {
    if (this.socket?.readyState === WebSocket.OPEN) return;
    clearTimeout(this.connectTimer);
    this.connect();
  }

  connect() {
    if (this.socket) return;
    let socket;
    try {
      const scheme = location.protocol === "https:" ? "wss:" : "ws:";
      socket = new WebSocket(`${scheme}//${location.host}/ws/events/`);
    } catch {
      this.lost();
      return;
    }
    this.socket = socket;
    socket.addEventListener("open", () => {
      socket.send(JSON.stringify({ follow: this.topics, since: this.latest }));
    });
    socket.addEventListener("message", (message) => {
      if (socket === this.socket) this.hear(JSON.parse(message.data));
    });
    socket.addEventListener("close", () => {
      if (socket !== this.socket) return;
      this.socket = null;
      this.lost();
    });
  }

  hear(message) {
    if (message.following) {
      this.failures = 0;
      clearTimeout(this.pollTimer);
      this.pollTimer = null;
      this.onStatus("live");
    }
    if (message.reload) this.restart(message.latest);
    if (message.events) this.take(message.events, message.latest);
  }

  lost() {
    this.failures += 1;
    const wait = Math.min(LONGEST_WAIT_MS, 500 * 2 ** this.failures) * (0.5 + Math.random() / 2);
    this.connectTimer = setTimeout(() => this.connect(), wait);
    if (this.pollTimer === null) this.poll();
  }

  async poll() {
    this.pollTimer = setTimeout(() => this.poll(), POLL_MS);
    const query = new URLSearchParams({ since: this.latest, topics: this.topics.join(",") });
    try {
      const answer = await fetch(`/api/v1/events/?${query}`, { headers: { Accept: "application/json" } });
      if (answer.status === 401 || answer.status === 403) return location.reload(); // the session has ended
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const news = await answer.json();
      if (this.pollTimer === null) return; // the socket is back
      this.onStatus("polling");
      if (news.complete === false) this.restart(news.latest);
      this.take(news.events, news.latest);
    } catch {
      if (this.pollTimer !== null) this.onStatus("offline");
    }
  }

  /** `latest` is where to go on after a break: an id may appear behind higher ones, so it is the server who knows. */
  take(events, latest) {
    const fresh = events.filter((event) => event.id === undefined || !this.seen.has(event.id));
    for (const event of fresh) if (event.id !== undefined) this.seen.add(event.id);
    this.latest = Math.max(this.latest, latest ?? 0);
    if (this.seen.size > 5000) this.seen = new Set([...this.seen].slice(-500));
    if (fresh.length) this.onEvents(fresh);
  }

  restart(latest) {
    if (latest) this.latest = latest;
    this.onLost();
  }
}

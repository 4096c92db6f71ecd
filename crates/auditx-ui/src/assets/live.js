// Says how many entries are new in this view. The table stays as it is until the reader asks for more.

const SILENCE = 40_000; // Milliseconds; the server sends a heartbeat every 15 s.
const RETRY = 5_000;
const PAUSE = 100; // The text changes at most this often.

const status = document.getElementById("live");
const text = document.createElement("span");
const link = document.createElement("a");
link.href = location.href;
link.textContent = "Show";
const shown = new Set(status.dataset.pending.split(" ").filter(Boolean));
const title = document.title;

let source, heard, drawn;
let count = 0;
let hasGap = false;
let after = "";

function draw(words) {
  text.textContent = words;
  status.replaceChildren(text, ...(count > 0 ? [" ", link] : []));
  document.title = count > 0 ? `(${count}) ${title}` : title;
}

function counted() {
  const words = count > 0 ? `${count} new` : "Waiting for new entries";
  return hasGap ? `${words}; others were not received` : words;
}

function drawSoon() {
  drawn ??= setTimeout(() => {
    drawn = undefined;
    draw(counted());
  }, PAUSE);
}

function connect() {
  source?.close();
  heard = Date.now();
  const address = new URL(status.dataset.stream, location.href);
  if (after) address.searchParams.set("after", after);
  source = new EventSource(address);
  const on = (kind, act) =>
    source.addEventListener(kind, (event) => {
      heard = Date.now();
      after = event.lastEventId;
      act(event);
    });
  on("heartbeat", () => draw(counted()));
  on("gap", () => {
    hasGap = true;
    drawSoon();
  });
  on("entry", (event) => {
    // A pending entry of the page comes again once it has a number.
    if (shown.size > 0 && shown.delete(JSON.parse(event.data).id)) return;
    count += 1;
    if (count === 1) draw(counted());
    else drawSoon();
  });
  source.addEventListener("error", () => {
    draw("Connecting again");
    // The browser does so itself unless the server refused.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, RETRY);
  });
}

// A connection may be lost without an error.
setInterval(() => {
  if (Date.now() - heard > SILENCE) connect();
}, RETRY);
// Frees the connection, of which a browser has six for each server, while another page is shown.
addEventListener("pagehide", () => source.close());
addEventListener("pageshow", (event) => event.persisted && connect());
connect();

// Keeps the page up to date: ages by the clock, rows by server-sent events, the rest by asking for the page again. All of it is
// there without this script.

const live = document.getElementById('live');
const numbers = new Intl.NumberFormat('en', { maximumFractionDigits: 3 });
const WAKES = { armed: 'wake armed', looking: 'by the clock', resting: 'when asked' };
const refreshEvery = () => Number(live.dataset.refresh) * 1000;
const FLOOR = 3000;
let clock = 0, source = null, refreshed = Date.now(), wanted = false, busy = false;

// How old, in words: as `span` on the server has it.
function span(seconds) {
  const s = Math.max(0, Math.floor(seconds)), minutes = Math.floor(s / 60), hours = Math.floor(s / 3600);
  if (minutes < 1) return `${s} s`;
  if (hours < 1) return `${minutes} min`;
  if (hours >= 24) return `${Math.floor(hours / 24)} d`;
  return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
}

function put(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

function tick() {
  const now = Date.now() / 1000 + clock;
  for (const time of document.querySelectorAll('time[data-at]')) put(time, span(now - Number(time.dataset.at)));
  for (const at of document.querySelectorAll('td[data-f=age] > time')) at.parentElement.toggleAttribute('data-old', now - Number(at.dataset.at) > 60);
}

function say(state, text) {
  live.dataset.state = state;
  put(live, text);
}

function change(row) {
  const tr = document.querySelector(`tr[data-id="${row.id}"]`);
  if (!tr) return want();
  const at = (name) => tr.querySelector(`[data-f=${name}]`);
  const badge = tr.querySelector('.state');
  // An error comes and goes with its text.
  if ((row.error === null) !== (tr.querySelector('p.error') === null)) want();
  tr.dataset.state = badge.dataset.state = row.state;
  put(badge, row.state);
  put(at('value'), row.value === null ? '–' : numbers.format(row.value).replace('-', '−'));
  put(at('replicas'), row.replicas === null ? '–' : numbers.format(row.replicas));
  put(at('wake'), WAKES[row.wake]);
  put(at('streams'), row.streams === 0 ? '' : row.streams === 1 ? '1 stream' : `${row.streams} streams`);
  const age = at('age');
  if (row.sampledAt !== null) {
    let time = age.querySelector('time');
    if (!time) {
      time = document.createElement('time');
      age.replaceChildren(time);
    }
    time.dataset.at = row.sampledAt;
  }
}

function want() {
  wanted = true;
}

// Takes each part of the page that changes from a new answer; what somebody types into stays.
async function refresh() {
  if (busy) return;
  busy = true;
  wanted = false;
  refreshed = Date.now();
  try {
    const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
    if (!answer.ok) throw new Error(String(answer.status));
    const date = Date.parse(answer.headers.get('date') ?? '') / 1000;
    // Where the two clocks agree within what the header can say, ours is as good.
    clock = Math.abs(date - Date.now() / 1000) > 2 ? date - Date.now() / 1000 : 0;
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const focus = document.activeElement?.id, opened = document.querySelector('main details')?.open;
    for (const part of document.querySelectorAll('[data-live]')) {
      const fresh = page.getElementById(part.id);
      if (fresh && fresh.innerHTML !== part.innerHTML && !part.querySelector('input:focus')) part.replaceChildren(...fresh.childNodes);
    }
    const details = document.querySelector('main details');
    if (details && opened) details.open = true;
    if (focus && document.activeElement?.id !== focus) document.getElementById(focus)?.focus({ preventScroll: true });
    const { watch, refresh: every } = page.getElementById('live').dataset;
    live.dataset.refresh = every;
    if (watch !== live.dataset.watch) {
      live.dataset.watch = watch;
      listen();
    } else if (!watch) say('live', 'live');
    tick();
  } catch {
    say('lost', 'the server does not answer');
  } finally {
    busy = false;
  }
}

function listen() {
  source?.close();
  source = null;
  const watch = live.dataset.watch;
  if (!watch) return say('live', 'live');
  source = new EventSource(watch);
  source.addEventListener('open', () => say('live', 'live'));
  source.addEventListener('error', () => {
    say('lost', source.readyState === EventSource.CLOSED ? 'not live: too many watch' : 'connecting again');
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 15000);
  });
  let first = true;
  source.addEventListener('change', (event) => {
    const row = JSON.parse(event.data);
    if (document.querySelector(`tr[data-id="${row.id}"]`)) change(row);
    else if (!first) want();
    first = false;
  });
  source.addEventListener('gone', want);
  source.addEventListener('list', want);
}

setInterval(() => {
  if (document.hidden) return;
  tick();
  const since = Date.now() - refreshed;
  if (wanted ? since >= FLOOR : refreshEvery() > 0 && since >= refreshEvery()) refresh();
}, 1000);

// Who does not look costs nothing.
document.addEventListener('visibilitychange', () => {
  if (document.hidden) {
    source?.close();
    source = null;
  } else if (refreshEvery() > 0) {
    listen();
    refresh();
  }
});

tick();
if (refreshEvery() > 0) listen();

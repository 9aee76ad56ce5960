// Elements, words and texts of strangers. Nothing here or elsewhere on these pages writes markup: text becomes text nodes.

const words = await (await fetch('/app/words.json')).json();
const LANGUAGES = ['zh', 'en'];
const KEPT = 'sealagent-language';

let chosen = localStorage.getItem(KEPT);
if (!LANGUAGES.includes(chosen)) chosen = navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en';

export const language = () => chosen;
export function switchLanguage() {
  chosen = chosen === 'zh' ? 'en' : 'zh';
  localStorage.setItem(KEPT, chosen);
}

/** The text of a key in the person's language; `{name}` stands for a value. */
export function t(key, values = {}) {
  const text = words[key]?.[chosen];
  if (text === undefined) return key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Whether there is a text of that key. */
export const known = (key) => key in words;

/** Puts the texts into what the shell brings. */
export function translate(root) {
  for (const node of root.querySelectorAll('[data-text]')) node.textContent = t(node.dataset.text);
}

/**
 * An element. Attributes named `on…` listen, `data` and `style` are objects (style by the object model, which the policy allows), `true`
 * and `false` set and leave out; the rest is set as it is. Children are nodes, texts, or lists of them; empty ones are left out.
 */
export function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (name === 'data') Object.assign(made.dataset, value);
    else if (name === 'style') for (const [property, set] of Object.entries(value)) made.style.setProperty(property, set);
    else if (['value', 'checked', 'disabled', 'hidden', 'open'].includes(name)) made[name] = value;
    else made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false && child !== ''));
  return made;
}

/** Longest text of strangers that is shown in one line, in characters. */
const MAX_CHARACTERS = 120;
const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ue000-\uf8ff\u{e0000}-\u{e0fff}\u{f0000}-\u{10ffff}]/gu;

/** A text of a file or site in one line, as the agent makes it: what hides or turns writing becomes visible, what is long loses its middle. */
export function harmless(text) {
  let all = Array.from(String(text));
  if (all.length > MAX_CHARACTERS) {
    const [head, tail] = [80, 40];
    all = [...all.slice(0, head), `…(+${all.length - head - tail})…`, ...all.slice(-tail)];
  }
  return all.join('').replace(INVISIBLE, (c) => `‹U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}›`).replace(/(\p{M}{2})\p{M}+/gu, '$1');
}

/** The same as an element whose direction cannot reach beyond it. */
export const strange = (text) => h('bdi', { dir: 'auto' }, harmless(text));

/** A time in the person's zone, with the zone's name. */
export function time(text) {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return strange(text);
  const options = { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZoneName: 'short' };
  const parts = Object.fromEntries(new Intl.DateTimeFormat(chosen === 'zh' ? 'zh-CN' : 'en-GB', options).formatToParts(date).map(({ type, value }) => [type, value]));
  return h('time', { datetime: date.toISOString() }, `${parts.year}-${parts.month}-${parts.day} ${parts.hour}:${parts.minute}:${parts.second} ${parts.timeZoneName}`);
}

/** The day of it. */
export function day(text) {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return strange(text);
  const two = (number) => String(number).padStart(2, '0');
  return h('time', { datetime: date.toISOString() }, `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`);
}

/** A unified social credit code in its parts; copied, it is in one piece. */
export function uscc(code) {
  const parts = /^(.{2})(.{6})(.{9})(.)$/.exec(code);
  return parts ? h('span', { class: 'groups' }, parts.slice(1).map((part) => h('span', {}, part))) : strange(code);
}

/** Rows of names and values; rows without a value are left out. */
export function rows(pairs) {
  const filled = pairs.filter(([, value]) => value !== undefined && value !== null && value !== '');
  return h('dl', {}, filled.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
}

export const bytes = (count) => {
  const [unit, size] = count < 1024 ? ['B', count] : count < 1 << 20 ? ['KB', count / 1024] : ['MB', count / (1 << 20)];
  return `${size.toLocaleString(chosen, { maximumFractionDigits: unit === 'B' ? 0 : 1 })} ${unit}`;
};

/** Gives a blob to the person as a file. */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = h('a', { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** By what an element is found again when the page is drawn anew. */
const trace = (node) => [node.tagName, node.id, node.name, node.type === 'radio' ? node.value : '', node.getAttribute('aria-label') ?? '', node.matches('button, a, summary') ? node.textContent : ''].join('|');

/** Puts these children into a page. Whoever stood on one of the old ones by keyboard stands on its successor. */
export function fill(root, ...children) {
  const active = root.contains(document.activeElement) ? trace(document.activeElement) : undefined;
  root.replaceChildren(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false && child !== ''));
  if (active) [...root.querySelectorAll('a, button, input, select, summary, [tabindex]')].find((node) => trace(node) === active)?.focus({ preventScroll: true });
}

let numbers = 0;
/** An id that no other element has. */
export const fresh = (prefix) => `${prefix}-${numbers += 1}`;

/** A place to drop files, which is a button for keyboards too. `take` gets a list of files. */
export function drop({ label, note, accept, multiple, take }) {
  const input = h('input', { type: 'file', accept, multiple, class: 'unseen', onchange: () => { take([...input.files]); input.value = ''; } });
  const zone = h('label', { class: 'drop' }, input, h('b', {}, label), h('small', {}, note));
  for (const name of ['dragover', 'dragleave', 'drop']) {
    zone.addEventListener(name, (event) => {
      event.preventDefault();
      zone.toggleAttribute('data-over', name === 'dragover');
      if (name === 'drop') take([...event.dataTransfer.files]);
    });
  }
  return zone;
}

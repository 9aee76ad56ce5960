// What a person does on the agent's own pages, in any browser that can open an address and evaluate an expression.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.env.BROWSER_TEST_FOLDER;
export const agentPort = Number(process.env.BROWSER_TEST_AGENT_PORT);
export const own = `http://127.0.0.1:${agentPort}`;
const links = readFileSync(join(folder, 'links'), 'utf8').trim().split('\n');

/** A name that markup, and a character that turns the direction of writing, would make something else of. */
export const HOSTILE = '<img src=x onerror=document.title=1>\u202efdp.exe.ofd';

/** The address of a page with a link that nobody used yet. */
export const address = (page) => `${own}/app/${page}#${links.pop()}`;

const wait = `const until = async (find) => { for (let n = 0; n < 600; n += 1) { const found = find(); if (found) return found; await new Promise((r) => setTimeout(r, 50)); } throw new Error('never came: ' + find); };
const one = (selector) => until(() => document.querySelector(selector));`;
/** Evaluates the body of an async function that can wait: `one(selector)` and `until(find)`. */
export const on = (page, body) => page.evaluate(`(async () => { ${wait} ${body} })()`);

/** Gives files to the page as a person's choice would. */
export function choose(page, files) {
  const given = files.map(([file, name]) => [readFileSync(join(folder, file)).toString('base64'), name]);
  return on(page, `
    const input = await one('input[type=file]');
    const chosen = new DataTransfer();
    for (const [base64, name] of ${JSON.stringify(given)}) chosen.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name));
    input.files = chosen.files;
    input.dispatchEvent(new Event('change'));`);
}

export const ready = (page) => on(page, `await one('main[data-ready]');`);

export async function judgesFiles(open) {
  const page = await open(`${own}/app/verify`);
  await ready(page);
  await choose(page, [['good.ofd', '合同.ofd'], ['changed.ofd', 'changed.ofd'], ['stranger.ofd', HOSTILE]]);
  const lines = await on(page, `
    await until(() => document.querySelectorAll('.file-line').length === 3 && ![...document.querySelectorAll('.word')].some((word) => word.classList.contains('busy')));
    return [...document.querySelectorAll('.file-line')].map((line) => [line.querySelector('.word').className, line.querySelector('.file-count').textContent, line.querySelector('.file-name').textContent]);`);
  assert.deepEqual(lines.map(([kind]) => kind), ['word passed', 'word failed', 'word indeterminate']);
  assert.match(lines[0][1], /valid|有效/);
  assert.equal(lines[2][2], HOSTILE.replace('\u202e', '‹U+202E›'));
  const parts = await on(page, `
    for (const file of document.querySelectorAll('.file')) file.open = true;
    await until(() => document.querySelectorAll('.card .seal-picture img').length === 3);
    const buttons = [...document.querySelector('.card').querySelectorAll('.layer')];
    buttons[0].click();
    return {
      layers: buttons.length, opened: !document.querySelector('.layer-panel').hidden,
      reasons: document.querySelectorAll('.file')[1].querySelector('.findings').textContent,
      uscc: document.querySelector('.groups').textContent,
      advice: document.querySelectorAll('.file')[2].querySelector('.advice').textContent,
      strangers: document.querySelectorAll('img[src="x"]').length, title: document.title,
      timeline: document.querySelector('.timeline').textContent };`);
  assert.deepEqual([parts.layers, parts.opened, parts.uscc, parts.strangers], [7, true, '91110108756730417W', 0]);
  assert.match(parts.reasons, /PROTECTED_FILE_CHANGED/);
  assert.match(parts.advice, /CA/);
  assert.match(parts.timeline, /no change since|之后无改动/);
  assert.notEqual(parts.title, '1');
  return page;
}

export async function drawsPages(page) {
  const shown = await on(page, `
    const section = document.querySelector('.pages');
    section.scrollIntoView();
    const image = await until(() => section.querySelector('img[src]'));
    await image.decode();
    return { width: image.naturalWidth, boxes: section.querySelectorAll('.box').length };`);
  assert.deepEqual([shown.width, shown.boxes], [1000, 1]);
}

export async function sealsOwnFile(open) {
  const page = await open(address('sign'));
  await ready(page);
  assert.equal(await page.evaluate('location.hash'), '', 'the link is out of the address');
  await choose(page, [['plain.ofd', 'plain.ofd']]);
  const result = await on(page, `
    await one('input[name=seal]:checked');
    await until(() => document.querySelector('.sheet.pick > img[src]'));
    const sheet = document.querySelector('.sheet.pick');
    const before = document.querySelector('#x').value;
    const frame = sheet.getBoundingClientRect();
    sheet.dispatchEvent(new MouseEvent('click', { bubbles: true, clientX: frame.left + frame.width / 2, clientY: frame.top + frame.height / 2 }));
    const clicked = [document.querySelector('#x').value, document.querySelector('#y').value];
    sheet.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowLeft', shiftKey: true, bubbles: true }));
    const moved = document.querySelector('#x').value;
    sheet.focus();
    document.querySelector('#go').click();
    await until(() => document.querySelector('#result .verdict.big'));
    return { before, clicked, moved, verdict: document.querySelector('#result .verdict.big').className, name: document.querySelector('#result bdi').textContent };`);
  // A4 is 210 mm wide and 297 mm high, the seal 40 mm: its middle went to the middle of the page.
  assert.ok(Math.abs(result.clicked[0] - 85) < 1 && Math.abs(result.clicked[1] - 128.5) < 1, String(result.clicked));
  assert.equal(Number(result.moved), Number(result.clicked[0]) - 10);
  assert.match(result.verdict, /passed/);
  assert.equal(result.name, 'plain-signed.ofd');
  return page;
}

/** A field is chosen in the list, then another one on the picture. `key` presses keys where the browser can. */
export async function sealsInField(open, key) {
  const page = await open(address('sign'));
  await ready(page);
  await choose(page, [['fields.pdf', 'fields.pdf']]);
  const first = await on(page, `
    await one('input[name=seal]:checked');
    await one('input[name=field]');
    const names = [...document.querySelectorAll('.fields b')].map((name) => name.textContent);
    const before = document.querySelector('#go').disabled;
    document.querySelector('input[name=field][value=seller]').click();
    await until(() => document.querySelector('button.field[aria-pressed=true]'));
    await until(() => document.querySelector('.sheet > img[src]'));
    return { names, before, after: document.querySelector('#go').disabled, ghost: document.querySelector('.ghost').hidden,
      where: document.querySelector('.fields').textContent, images: document.querySelectorAll('.fields img').length,
      kinds: [...document.querySelectorAll('input[name=place]')].map((kind) => kind.value) };`);
  assert.deepEqual(first.names, ['buyer', 'seller', '<b>witness']);
  assert.deepEqual(first.kinds, ['field', 'page', 'keyword', 'straddle', 'none']);
  assert.deepEqual([first.before, first.after, first.ghost, first.images], [true, false, false, 0], 'nobody chooses for the person');
  assert.match(first.where, /page 1, 35 mm|第 1 页，距左 35 毫米/);
  assert.match(first.where, /shows on no page|不在任何页面上显示/);
  // Back to the first page, where the picture shows the other field.
  await on(page, `
    document.querySelector('.pager button').click();
    (await until(() => document.querySelector('button.field[value=buyer]'))).focus();`);
  if (key) await key(page, 'Enter');
  else await on(page, `document.activeElement.click();`);
  const chosen = await on(page, `
    const radio = await until(() => document.querySelector('input[name=field][value=buyer]:checked'));
    const pressed = document.querySelector('button.field[value=buyer]');
    const [field, ghost] = [pressed, document.querySelector('.ghost')].map((node) => node.getBoundingClientRect());
    const middle = (box) => [box.left + box.width / 2, box.top + box.height / 2];
    return { pressed: pressed.getAttribute('aria-pressed'), label: pressed.getAttribute('aria-label'), off: Math.hypot(middle(field)[0] - middle(ghost)[0], middle(field)[1] - middle(ghost)[1]), focused: document.activeElement === pressed };`);
  assert.equal(chosen.pressed, 'true');
  assert.match(chosen.label, /buyer/);
  assert.ok(chosen.off < 2 && chosen.focused, JSON.stringify(chosen));
  const verdict = await on(page, `
    document.querySelector('#go').click();
    return (await until(() => document.querySelector('#result .verdict.big'))).className;`);
  assert.match(verdict, /passed/);
  return page;
}

export async function revokesGrant(open) {
  const page = await open(address('settings'));
  await ready(page);
  const said = await on(page, `
    const first = await one('.list li .quiet');
    const label = document.querySelector('.list').textContent;
    first.click();
    (await one('.sure .danger')).click();
    const said = await one('.notice.passed');
    return { label, said: said.textContent, left: [...document.querySelectorAll('.origin')].map((origin) => origin.textContent) };`);
  assert.match(said.label, /<b>政务<\/b>/);
  assert.match(said.said, /https:\/\/paired\.example/);
  assert.ok(!said.left.includes('https://paired.example') && said.left.length > 0, 'the configured sites stay');
  return page;
}

export async function asksForALink(open) {
  const page = await open(`${own}/app/history`);
  const said = await on(page, `await one('main[data-ready]'); return document.querySelector('main').textContent;`);
  assert.match(said, /sealagent open history/);
  return page;
}

export async function saysHowThingsAre(open) {
  const page = await open(`${own}/diagnose`);
  const lines = await on(page, `
    await until(() => [...document.querySelectorAll('.checks .number')].some((number) => number.textContent === '26') && document.querySelector('.checks ~ .actions button'));
    return [...document.querySelectorAll('.checks li')].map((line) => [line.querySelector('.number').textContent, line.className]);`);
  const states = Object.fromEntries(lines);
  // The agent answers, the driver runs, fetch and WebSocket pass, cryptography is there.
  assert.deepEqual(['01', '08', '22', '23', '25'].map((number) => states[number]), Array(5).fill('passed'));
  return page;
}

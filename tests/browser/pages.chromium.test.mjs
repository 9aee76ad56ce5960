// The agent's own pages in Chromium. Started by tests/own_pages.rs, which also judges what the agent saw.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';
import { QUIET, root, test } from './site.mjs';
import { address, agentPort, asksForALink, drawsPages, judgesFiles, own, ready, revokesGrant, saysHowThingsAre, sealsInField, sealsOwnFile } from './pages.mjs';

const folder = process.env.BROWSER_TEST_FOLDER;
let browser;
const complaints = [];
/** Where pictures for looking at go; none are taken when it is not set. */
const shots = process.env.BROWSER_TEST_SHOTS;

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.BROWSER_TEST_PROGRAM, args: QUIET });
  if (shots) mkdirSync(shots, { recursive: true });
});
after(() => browser?.close());

const opener = (options = {}) => async (url) => {
  const context = await browser.newContext({ locale: 'en-US', viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) complaints.push(message.text()); });
  page.on('pageerror', (error) => complaints.push(`${page.url()}: ${error.stack}`));
  page.on('dialog', (dialog) => { complaints.push('dialog'); dialog.dismiss(); });
  await page.goto(url);
  return page;
};
const open = opener();

test('good, changed and undetermined files are told apart, whatever they are called', async () => {
  const page = await judgesFiles(open);
  await drawsPages(page);
  await page.context().close();
});

test('a report is saved and printed whole', async () => {
  const page = await judgesFiles(open);
  const saving = page.waitForEvent('download');
  await page.locator('.report .actions button').nth(1).click();
  const saved = await saving;
  assert.equal(saved.suggestedFilename(), '合同.ofd.report.json');
  await page.emulateMedia({ media: 'print' });
  await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
  assert.equal(await page.locator('nav').isVisible(), false);
  assert.equal(await page.locator('.technical dd').first().isVisible(), true);
  if (shots) await page.pdf({ path: join(shots, 'report.pdf'), format: 'A4' });
  await page.context().close();
});

test('a file of one\'s own is sealed by click and arrow key', async () => {
  const page = await sealsOwnFile(open);
  const saving = page.waitForEvent('download');
  await page.locator('#result .actions button').first().click();
  assert.equal((await saving).suggestedFilename(), 'plain-signed.ofd');
  if (shots) await page.screenshot({ path: join(shots, 'sealed-1280.png'), fullPage: true });
  await page.context().close();
});

test('a field of a PDF is chosen in the list and by keyboard on the picture', async () => {
  const page = await sealsInField(open, (shown, name) => shown.keyboard.press(name));
  if (shots) await page.screenshot({ path: join(shots, 'field-1280.png'), fullPage: true });
  await page.context().close();
});

test('a pairing is taken back', async () => (await revokesGrant(open)).context().close());
test('without a link the pages of the person stay shut', async () => (await asksForALink(open)).context().close());
test('the diagnosis sees that all works', async () => (await saysHowThingsAre(open)).context().close());

test('the menu keeps the session, a new tab has none', async () => {
  const page = await open(address('seals'));
  await page.locator('.card h3').first().waitFor();
  await page.locator('nav a').nth(4).click();
  await page.locator('.entry').first().waitFor();
  const other = await page.context().newPage();
  await other.goto(`${own}/app/history`);
  await other.locator('pre').waitFor();
  assert.equal(await other.locator('.entry').count(), 0);
  assert.deepEqual(await page.context().cookies(), []);
  await page.context().close();
});

/** Attack item 17: another site frames the pages, loads their scripts, or calls with the person's browser. */
test('another site gets nothing of the pages', async () => {
  const server = createServer((request, answer) => {
    answer.setHeader('content-type', 'text/html');
    answer.end(`<!doctype html><iframe src="${own}/app/verify"></iframe><script src="${own}/app/app.js"></script>`);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const tried = await page.evaluate(async (own) => {
    const tries = ['/app/api/about', '/app/api/history', '/app/words.json', '/v1/seals'].map((path) => fetch(own + path, { credentials: 'include' }).then((answer) => answer.status, () => 'blocked'));
    const posted = fetch(`${own}/app/api/reports?name=a`, { method: 'POST', body: 'x', mode: 'no-cors' }).then((answer) => answer.status, () => 'blocked');
    return Promise.all([...tries, posted]);
  }, own);
  assert.deepEqual(tried, ['blocked', 'blocked', 'blocked', 'blocked', 'blocked']);
  const frame = page.frames()[1];
  assert.equal(await frame.evaluate(() => document.body?.querySelector('main') ?? null).catch(() => null), null);
  await context.close();
  server.closeAllConnections();
  server.close();
});

const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', css: 'text/css', json: 'application/json', ofd: 'application/ofd' };
test('the demo page places the seal by a click and seals several files at once', async () => {
  const files = { '/demo.json': JSON.stringify({ ports: [agentPort], sampleName: '合同.ofd', stamp: { kind: 'page', pages: [1], x: 100, y: 100 } }), '/sample.ofd': readFileSync(join(folder, 'plain.ofd')), '/sealagent.js': readFileSync(join(root, 'sdk/js/dist/sealagent.js')) };
  for (const name of ['index.html', 'style.css', 'app.js', 'seal.js', 'texts.json']) files[`/${name}`] = readFileSync(join(root, 'src/demo/assets', name));
  files['/place.js'] = readFileSync(join(root, 'src/http/pages/assets/place.js'));
  const server = createServer((request, answer) => {
    const path = request.url === '/' ? '/index.html' : request.url;
    answer.setHeader('content-type', TYPES[path.split('.').pop()] ?? 'text/plain');
    answer.setHeader('content-security-policy', `default-src 'none'; script-src 'self'; style-src 'self'; img-src blob:; connect-src 'self' ${own}`);
    answer.statusCode = path in files ? 200 : 404;
    answer.end(files[path] ?? '');
  });
  await new Promise((resolve) => server.listen(Number(process.env.BROWSER_TEST_SITE_PORT), '127.0.0.1', resolve));
  try {
    const page = await opener({ viewport: { width: 1600, height: 1000 } })(`http://127.0.0.1:${server.address().port}/`);
    await page.locator('#page[src]').waitFor();
    await page.setInputFiles('#file', ['plain.ofd', 'good.ofd'].map((name) => join(folder, name)));
    await page.waitForFunction(() => document.querySelector('#page-now').textContent.endsWith('/ 2'));
    const { width, height } = await page.locator('#sheet').boundingBox();
    await page.locator('#sheet').click({ position: { x: width / 2, y: height / 2 } });
    await page.locator('#sheet').press('ArrowUp');
    const where = (await page.locator('#where').innerText()).match(/[\d.]+/g).map(Number);
    assert.ok(Math.abs(where[1] - 85) < 1 && Math.abs(where[2] - 127.5) < 1, String(where));
    await page.click('#go');
    await page.locator('#report .verdict').nth(1).waitFor();
    assert.deepEqual((await page.locator('#report .verdict').allInnerTexts()).map((text) => text.slice(0, 1)), ['✔', '✔']);
    assert.deepEqual(await page.locator('#report .button').evaluateAll((links) => links.map((link) => link.download)), ['plain-signed.ofd', 'good-signed.ofd']);
    assert.equal(await page.locator('#verify-link').getAttribute('href'), `${own}/app/verify`);
    if (shots) await page.screenshot({ path: join(shots, 'demo-1600.png'), fullPage: true });
    await page.fill('#keyword', '采购合同');
    await page.click('#go');
    await page.waitForFunction(() => document.querySelector('#approve-now').textContent && !document.querySelector('#go').disabled && document.querySelectorAll('#report .verdict').length === 2);
    assert.equal(await page.locator('#error').isVisible(), false);
    assert.equal(await page.locator('#picker').isVisible(), false);
    assert.equal(await page.locator('#by-field').isVisible(), false, 'an OFD has no fields');
    await page.setInputFiles('#file', join(folder, 'fields.pdf'));
    await page.locator('#by-field').waitFor();
    await page.selectOption('#field', 'seller');
    await page.click('input[name=by][value=field]');
    await page.click('#go');
    await page.waitForFunction(() => document.querySelectorAll('#report .verdict').length === 1 && !document.querySelector('#go').disabled);
    assert.match(await page.locator('#report .verdict').innerText(), /^✔/);
    await page.setViewportSize({ width: 360, height: 740 });
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth));
    if (shots) await page.screenshot({ path: join(shots, 'demo-360.png'), fullPage: true });
    await page.context().close();
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

const SIZES = [[360, 740], [1600, 1000]];
test('pages fit a narrow and a wide window in both languages', async () => {
  for (const [width, height] of SIZES) {
    for (const locale of ['zh-CN', 'en-US']) {
      for (const colorScheme of ['light', 'dark']) {
        const name = (what) => join(shots ?? '', `${what}-${width}-${locale.slice(0, 2)}-${colorScheme}.png`);
        const look = async (page, what) => {
          const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          assert.ok(over <= 0, `${what} at ${width} px is ${over} px too wide`);
          // A value that is not there, an object in place of its text, a gap that was not filled.
          assert.doesNotMatch(await page.locator('body').innerText(), /undefined|\[object|NaN|\{\w+\}/, what);
          if (shots) await page.screenshot({ path: name(what), fullPage: true });
        };
        const openHere = opener({ viewport: { width, height }, locale, colorScheme });
        const judged = await judgesFiles(openHere);
        await judged.evaluate(() => scrollTo(0, 0));
        if (shots) await drawsPages(judged);
        await look(judged, 'verify');
        await judged.context().close();
        const page = await openHere(address('seals'));
        await page.locator('.card h3').first().waitFor();
        for (const what of ['seals', 'settings', 'history', 'diagnose', 'sign']) {
          await page.goto(`${own}/app/${what}`);
          await ready(page);
          await page.waitForLoadState('networkidle');
          await look(page, what);
        }
        await page.context().close();
      }
    }
  }
});

test('all of a page is reached by keyboard, and everything reached has a name', async () => {
  const page = await open(address('seals'));
  await page.locator('.card h3').first().waitFor();
  const seen = [];
  for (let n = 0; n < 40; n += 1) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => { const e = document.activeElement; return e === document.body ? null : (e.getAttribute('aria-label') ?? e.textContent).trim(); });
    if (at === null) break;
    seen.push(at);
  }
  // Skip link, mark, six pages, language, look again, five questions.
  assert.ok(seen.length >= 15, seen.join('|'));
  assert.ok(seen.every((name) => name.length > 0), seen.join('|'));
  await page.context().close();
});

test('the pages break none of their own rules', () => {
  // The refused calls of a page without a session are said by the browser as errors; nothing else may be.
  assert.deepEqual(complaints.filter((said) => !/status of 40[14]/.test(said)), []);
});

// What a help desk needs to hear: each line has a number, so it can be read out over the telephone. Nothing here is secret.
import { fill, h, harmless, rows, t, time } from './dom.js';
import { json, whoItIs } from './agent.js';
import { mark } from './report.js';

/** A clock that is off by more makes signatures whose time others doubt. */
const CLOCK = 60_000;

const MARKS = { ok: 'passed', warn: 'indeterminate', bad: 'failed', info: 'skipped' };

/** The browser's name and version, as far as it says. */
function browser() {
  const brands = navigator.userAgentData?.brands?.filter((one) => !/not.?a.?brand/i.test(one.brand)) ?? [];
  if (brands.length) return brands.map((one) => `${one.brand} ${one.version}`).join(', ');
  return /(?:Firefox|Edg|Chrome|Version)\/[\d.]+/.exec(navigator.userAgent)?.[0] ?? navigator.userAgent;
}

function socket() {
  return new Promise((resolve) => {
    let made;
    try {
      made = new WebSocket(`ws://${location.host}/app/api/socket`, 'sealagent.v1');
    } catch {
      return resolve(false);
    }
    let opened = false;
    made.onopen = () => {
      opened = true;
      made.close();
    };
    made.onclose = () => resolve(opened);
    setTimeout(() => resolve(opened), 5000);
  });
}

function storage() {
  return new Promise((resolve) => {
    try {
      const opened = indexedDB.open('sealagent-diagnose');
      opened.onsuccess = () => {
        opened.result.close();
        indexedDB.deleteDatabase('sealagent-diagnose');
        resolve(true);
      };
      opened.onerror = () => resolve(false);
    } catch {
      resolve(false);
    }
  });
}

async function permission() {
  for (const name of ['loopback-network', 'local-network-access']) {
    try {
      return (await navigator.permissions.query({ name })).state;
    } catch { /* a browser that does not know the name asks for nothing by it */ }
  }
  return 'unknown';
}

export function show(main) {
  let checks = [];
  let isDone = false;

  async function look() {
    [checks, isDone] = [[], false];
    const add = (number, state, key, value = '', hint = undefined) => {
      checks.push({ number, state, key, value, hint });
      draw();
    };
    const before = Date.now();
    let about;
    try {
      about = await whoItIs();
    } catch { /* said below */ }
    add('01', about ? 'ok' : 'bad', 'agent', about ? `${about.version} · ${about.os} ${about.architecture}` : '', about ? undefined : 'agent');
    if (about) {
      add('02', 'info', 'port', `127.0.0.1:${about.port}`);
      add('03', 'info', 'user', about.user);
      const off = Math.abs(new Date(about.now) - (before + Date.now()) / 2);
      add('04', off < CLOCK ? 'ok' : 'warn', 'clock', about.now, off < CLOCK ? undefined : 'clock');
      add('05', about.prompt === 'window' ? 'ok' : 'info', 'prompt', about.prompt);
      add('06', about.hasPreview ? 'ok' : 'warn', 'preview', '', about.hasPreview ? undefined : 'preview');
      add('07', about.hasTrust ? 'ok' : 'warn', 'trust', '', about.hasTrust ? undefined : 'trust');
      if (!about.drivers.length) add('08', 'bad', 'drivers', '0', 'drivers');
      for (const driver of about.drivers) add('08', { running: 'ok', starting: 'warn' }[driver.state] ?? 'bad', 'driver', driver.name, driver.state === 'running' ? undefined : 'driver');
      if (about.hasSession) {
        const tokens = await json('GET', '/v1/tokens').catch(() => undefined);
        add('09', tokens?.length ? 'ok' : 'warn', 'tokens', String(tokens?.length ?? '?'), tokens?.length ? undefined : 'tokens');
        for (const token of tokens ?? []) add('10', token.pin.blocked ? 'bad' : token.pin.lastTry ? 'warn' : 'ok', 'pin', `…${token.serial.slice(-4)}${token.pin.triesLeft ?? '' ? ` · ${token.pin.triesLeft}` : ''}`, token.pin.blocked ? 'pin' : undefined);
        const seals = await json('GET', '/v1/seals').catch(() => []);
        const ready = seals.filter((seal) => seal.state === 'ready').length;
        add('11', ready ? 'ok' : 'warn', 'seals', `${ready} / ${seals.length}`, ready ? undefined : 'seals');
      } else add('09', 'info', 'session', '', 'session');
      add('12', about.pairing ? 'ok' : 'info', 'pairing', about.pairing ? '1' : '0');
    }
    add('21', 'info', 'browser', browser());
    add('22', isSecureContext ? 'ok' : 'bad', 'secure');
    add('23', crypto.subtle ? 'ok' : 'bad', 'crypto', '', crypto.subtle ? undefined : 'browser');
    const keeps = await storage();
    add('24', keeps ? 'ok' : 'warn', 'storage', '', keeps ? undefined : 'storage');
    const passes = about ? await socket() : false;
    add('25', passes ? 'ok' : 'warn', 'socket', '', passes ? undefined : 'socket');
    const state = await permission();
    add('26', state === 'denied' ? 'bad' : 'info', 'permission', state, 'permission');
    isDone = true;
    draw();
  }

  const line = (check) => `${check.number} ${{ ok: 'OK', warn: '!', bad: 'X', info: '-' }[check.state]} ${t(`check.${check.key}`)}${check.value ? `: ${harmless(check.value)}` : ''}`;
  /** The same in a few characters. */
  const short = () => checks.filter((one) => one.state === 'bad' || one.state === 'warn').map((one) => `${one.number}${one.state === 'bad' ? 'X' : '!'}`).join(' ') || '00';

  function shown(check) {
    const kind = MARKS[check.state];
    const value = check.key === 'clock' ? time(check.value) : check.key === 'permission' ? t(`permission.${check.value}`) : check.key === 'prompt' ? t(`prompt.${check.value}`) : check.key === 'pairing' ? (check.value === '1' ? t('yes') : t('no')) : harmless(check.value);
    return h('li', { class: kind }, h('span', { class: 'number' }, check.number), mark(kind), h('div', {}, h('b', {}, t(`check.${check.key}`)), check.value && [' ', h('span', {}, value)], check.hint && h('small', {}, t(`hint.${check.hint}`))));
  }

  function draw() {
    const copy = h('button', { type: 'button', class: 'quiet', onclick: async () => {
      await navigator.clipboard.writeText(checks.map(line).join('\n'));
      copy.textContent = t('copied');
    } }, t('copyForHelp'));
    fill(main,
      h('h1', {}, t('page.diagnose')),
      h('p', { class: 'lead' }, t('diagnoseLead')),
      h('section', { class: 'panel code-panel' }, h('h2', {}, t('helpCode')), h('p', { class: 'help-code' }, isDone ? short() : '…'), h('p', { class: 'soft' }, t('helpCodeNote'))),
      h('section', { class: 'panel' }, h('ol', { class: 'checks' }, checks.map(shown)), h('p', { class: 'actions' }, isDone && copy, isDone && h('button', { type: 'button', class: 'quiet', onclick: look }, t('lookAgain')))),
      h('section', { class: 'panel' }, h('h2', {}, t('siteBlocked')), h('p', {}, t('siteBlockedWhy')), rows([['Chrome / Edge', t('siteBlockedChrome')], ['Firefox', t('siteBlockedFirefox')]])));
  }

  look();
  return { draw };
}

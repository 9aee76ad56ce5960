// UKeys and seals of this computer, and what to do before something runs out.
import { day, fill, h, rows, strange, t, uscc } from './dom.js';
import { blob, json, told } from './agent.js';
import { mark } from './report.js';

/** Renewing takes a visit and a new seal: said two months before. */
const SOON = 60 * 24 * 3600 * 1000;

export function show(main) {
  let tokens;
  let seals;
  let failure;
  const pictures = new Map();

  async function load() {
    try {
      [tokens, seals] = await Promise.all([json('GET', '/v1/tokens'), json('GET', '/v1/seals')]);
      await Promise.all(seals.map(async (one) => {
        const picture = await blob(`/v1/seals/${encodeURIComponent(one.esId)}/picture`).catch(() => undefined);
        if (picture?.type.startsWith('image/')) pictures.set(one.esId, URL.createObjectURL(picture));
      }));
      failure = undefined;
    } catch (error) {
      failure = error;
    }
    draw();
  }

  /** What is to be said about a date of end. */
  function dates(from, to) {
    const left = new Date(to) - Date.now();
    const days = Math.max(0, Math.ceil(left / 86_400_000));
    const [kind, word] = new Date(from) > Date.now() ? ['indeterminate', t('notYet')] : left < 0 ? ['failed', t('over')] : left < SOON ? ['indeterminate', t('soon', { n: days })] : ['passed', t('inForce')];
    return [h('span', { class: `state ${kind}` }, mark(kind), ' ', word), ' ', day(from), ' – ', day(to)];
  }

  const needsRenewal = (key) => new Date(key.validTo) - Date.now() < SOON;

  function pin(status) {
    if (status.blocked) return h('span', { class: 'state failed' }, mark('failed'), ' ', t('pinBlocked'));
    if (status.lastTry || status.triesLeft === 1) return h('span', { class: 'state indeterminate' }, mark('indeterminate'), ' ', t('pinLast'));
    if (status.triesLeft === null || status.triesLeft === undefined) return t('pinUnknown');
    return status.maxTries ? t('pinTriesOf', { n: status.triesLeft, all: status.maxTries }) : t('pinTries', { n: status.triesLeft });
  }

  function token(one) {
    return h('article', { class: 'card' }, h('header', {}, h('h3', {}, strange(one.label))),
      rows([[t('maker'), strange(one.manufacturer)], [t('serial'), strange(one.serial)], [t('pin'), pin(one.pin)]]),
      one.pin.blocked && h('p', { class: 'advice' }, h('b', {}, t('whatToDo')), ' ', t('help.locked')),
      one.keys.map((key) => [h('hr'), rows([[t('signer'), strange(key.signer)], [t('uscc'), key.uscc && uscc(key.uscc)], [t('issuer'), strange(key.issuer)], [t('certificateDates'), dates(key.validFrom, key.validTo)]]),
        needsRenewal(key) && h('p', { class: 'advice' }, h('b', {}, t('whatToDo')), ' ', t('help.renew'))]),
      !one.keys.length && h('p', { class: 'soft' }, t('noKeys')));
  }

  function seal(one) {
    const state = { ready: 'passed', absent: 'skipped' }[one.state] ?? 'failed';
    return h('article', { class: 'card' }, h('header', {}, h('h3', {}, strange(one.name)), h('p', { class: `state ${state}` }, mark(state), ' ', t(`seal.${one.state}`))),
      h('div', { class: 'card-body' }, pictures.has(one.esId) ? h('div', { class: 'seal-picture' }, h('img', { src: pictures.get(one.esId), alt: '' })) : h('div', { class: 'seal-picture none' }, h('span', {}, t('noSealPicture'))),
        rows([[t('sealCode'), strange(one.esId)], [t('sealDates'), dates(one.validFrom, one.validTo)], [t('sealSize'), `${one.widthMm} × ${one.heightMm} mm`], [t('signer'), one.key && strange(one.key.signer)], [t('uscc'), one.key?.uscc && uscc(one.key.uscc)]])),
      new Date(one.validTo) - Date.now() < SOON && h('p', { class: 'advice' }, h('b', {}, t('whatToDo')), ' ', t('help.seal')));
  }

  function draw() {
    fill(main,
      h('h1', {}, t('page.seals')),
      h('p', { class: 'actions' }, h('button', { type: 'button', class: 'quiet', onclick: load }, t('lookAgain'))),
      failure && told(failure),
      h('h2', {}, t('tokens')),
      tokens ? (tokens.length ? h('div', { class: 'cards' }, tokens.map(token)) : h('p', {}, t('noTokens'))) : h('p', { class: 'soft' }, t('sealsLoading')),
      h('h2', {}, t('sealsHere')),
      seals ? (seals.length ? h('div', { class: 'cards' }, seals.map(seal)) : h('p', {}, t('noSeals'))) : undefined,
      h('h2', {}, t('helpTitle')),
      ['renew', 'seal', 'lost', 'locked', 'absent'].map((key) => h('details', { class: 'help' }, h('summary', {}, t(`helpFor.${key}`)), h('p', {}, t(`help.${key}`)))));
  }

  load();
  return { draw };
}

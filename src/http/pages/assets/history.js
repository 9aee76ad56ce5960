// The record: who asked for what, and what came of it; and whether the record is whole.
import { fill, fresh, h, rows, strange, t, time } from './dom.js';
import { json, told } from './agent.js';
import { mark } from './report.js';

const EVENTS = ['signed', 'signedInPart', 'accepted', 'declined', 'expired', 'cancelled', 'failed', 'refused', 'notDelivered', 'paired', 'pairedOnce', 'pairingRefused', 'revoked', 'pinChanged'];
const KIND = { signed: 'passed', signedInPart: 'passed', pinChanged: 'passed', failed: 'failed', refused: 'failed', declined: 'skipped', cancelled: 'skipped', expired: 'skipped', notDelivered: 'indeterminate', accepted: 'busy', paired: 'passed', pairedOnce: 'passed', pairingRefused: 'skipped', revoked: 'skipped' };
/** Names of documents in one line. */
const NAMED = 3;

export function show(main) {
  let lines = [];
  let hasMore = false;
  let chain;
  let failure;
  let isLoading = true;
  let text = '';
  let event = '';
  let turn = 0;

  async function load(before) {
    const mine = turn += 1;
    isLoading = true;
    const query = new URLSearchParams();
    if (before !== undefined) query.set('before', before);
    if (text) query.set('text', text);
    if (event) query.set('event', event);
    try {
      const got = await json('GET', `/app/api/history?${query}`);
      if (mine !== turn) return;
      lines = before === undefined ? got.lines : [...lines, ...got.lines];
      ({ hasMore } = got);
      chain = got.chain ?? chain;
      failure = undefined;
    } catch (error) {
      if (mine !== turn) return;
      failure = error;
    }
    isLoading = false;
    list();
  }

  const who = (requester) => (requester === 'cli' ? t('byCommand') : requester === 'own-page' ? t('byOwnPage') : strange(requester));

  function line(one) {
    const kind = KIND[one.event] ?? 'skipped';
    const names = one.items.slice(0, NAMED).map((item, n) => [n > 0 && '、', strange(item.name)]);
    return h('details', { class: 'entry' },
      h('summary', {}, h('span', { class: `state ${kind}` }, mark(kind), ' ', t(`event.${one.event}`)), h('span', { class: 'entry-name' }, names, one.items.length > NAMED && t('andMore', { n: one.items.length - NAMED })), h('small', {}, who(one.requester)), h('small', {}, time(one.at))),
      rows([[t('number'), h('code', {}, String(one.n))], [t('asked'), who(one.requester)], [t('site'), one.origin && strange(one.origin)], [t('user'), strange(one.user)], [t('token'), one.token && strange(one.token)], [t('request'), h('code', {}, strange(one.request))]]),
      h('ul', { class: 'items' }, one.items.map((item) => h('li', {}, rows([
        [t('document'), [strange(item.name), item.digestOnly && h('small', { class: 'state indeterminate' }, ` ! ${t('unseenContent')}`)]],
        [t('sealCode'), strange(item.seal)],
        ['SM3', h('code', {}, strange(item.sm3))],
        [t('signedSm3'), item.signed && h('code', {}, strange(item.signed))],
        [t('reason'), item.code && h('code', {}, strange(item.code))],
      ])))));
  }

  function chainState() {
    if (!chain) return undefined;
    if (!chain.problems.length) return h('p', { class: 'notice passed' }, mark('passed'), ' ', t('chainWhole', { n: chain.lines }));
    return h('div', { class: 'notice bad', role: 'alert' }, h('p', {}, mark('failed'), ' ', t('chainBroken', { n: chain.problems.length })),
      h('ul', {}, chain.problems.slice(0, 20).map((one) => h('li', {}, h('code', {}, `${one.file}:${one.line}`), ' ', t(`problem.${one.problem}`)))), h('p', {}, t('chainAdvice')));
  }

  const state = h('div', {});
  const results = h('div', { class: 'entries', 'aria-live': 'polite' });
  function list() {
    state.replaceChildren(...[failure && told(failure), chainState()].filter(Boolean));
    results.replaceChildren(...lines.map(line), ...(lines.length || isLoading || failure ? [] : [h('p', {}, text || event ? t('noLinesFound') : t('noLines'))]),
      ...(hasMore ? [h('p', { class: 'actions' }, h('button', { type: 'button', class: 'quiet', onclick: () => load(lines[lines.length - 1].n) }, t('older')))] : []));
  }

  function draw() {
    const search = fresh('search');
    let later;
    fill(main,
      h('h1', {}, t('page.history')),
      h('p', { class: 'lead' }, t('historyLead')),
      state,
      h('form', { class: 'choices', role: 'search', onsubmit: (submitted) => submitted.preventDefault() },
        h('label', { for: search }, t('find')), h('input', { id: search, type: 'search', value: text, maxlength: '60', oninput: (input) => {
          text = input.target.value.trim();
          clearTimeout(later);
          later = setTimeout(() => load(), 300);
        } }),
        h('label', { class: 'inline' }, t('what'), ' ', h('select', { onchange: (change) => { event = change.target.value; load(); } }, h('option', { value: '' }, t('allEvents')), EVENTS.map((one) => h('option', { value: one, selected: one === event }, t(`event.${one}`)))))),
      results);
    list();
  }

  load();
  return { draw };
}

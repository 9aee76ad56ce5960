// Which web sites may ask this computer, and taking that back.
import { fill, h, strange, t, time } from './dom.js';
import { call, json, told } from './agent.js';

export function show(main) {
  let origins;
  let failure;
  let said;
  let asking; // the origin whose end is to be confirmed

  async function load() {
    try {
      origins = await json('GET', '/app/api/origins');
    } catch (error) {
      failure = error;
    }
    draw();
  }

  async function revoke(origin) {
    [failure, said, asking] = [undefined, undefined, undefined];
    try {
      await call('DELETE', `/app/api/origins?origin=${encodeURIComponent(origin)}`);
      said = t('revoked', { origin });
    } catch (error) {
      failure = error;
    }
    await load();
  }

  function row(one) {
    const isPaired = one.source === 'pairing';
    const isAsked = asking === one.origin;
    return h('li', {},
      h('div', {}, h('b', { class: 'origin' }, strange(one.origin)), one.label && h('small', {}, t('callsItself'), ' ', strange(one.label)),
        h('small', {}, isPaired ? [t('pairedOn'), ' ', time(one.paired), one.once && ` · ${t('once')}`] : t('byConfiguration'), one.digestOnly && ` · ${t('digestOnly')}`)),
      isPaired && !isAsked && h('button', { type: 'button', class: 'quiet', onclick: () => { asking = one.origin; draw(); main.querySelector('.sure button')?.focus(); } }, t('revoke')),
      isPaired && isAsked && h('div', { class: 'sure', role: 'group', 'aria-label': t('revokeSure') }, h('span', {}, t('revokeSure')),
        h('button', { type: 'button', class: 'danger', onclick: () => revoke(one.origin) }, t('revoke')),
        h('button', { type: 'button', class: 'quiet', onclick: () => { asking = undefined; draw(); } }, t('keep'))));
  }

  function draw() {
    const paired = (origins ?? []).filter((one) => one.source === 'pairing');
    const configured = (origins ?? []).filter((one) => one.source !== 'pairing');
    fill(main,
      h('h1', {}, t('page.settings')),
      failure && told(failure),
      h('p', { role: 'status', class: said ? 'notice passed' : 'unseen' }, said ? `✔ ${said}` : ''),
      h('section', { class: 'panel' }, h('h2', {}, t('sites')), h('p', { class: 'soft' }, t('sitesNote')),
        paired.length ? h('ul', { class: 'list' }, paired.map(row)) : h('p', {}, origins ? t('noSites') : t('loading'))),
      configured.length > 0 && h('section', { class: 'panel' }, h('h2', {}, t('sitesConfigured')), h('p', { class: 'soft' }, t('sitesConfiguredNote')), h('ul', { class: 'list' }, configured.map(row))));
  }

  load();
  return { draw };
}

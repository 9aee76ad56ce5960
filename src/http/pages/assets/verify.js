// Files that the person drops, judged on this computer.
import { bytes, drop, fill, h, strange, t } from './dom.js';
import { call, told, upload } from './agent.js';
import { counted, kindOf, mark, reportView } from './report.js';

/** Files that are handed over at the same time: the agent judges on as many cores as there are, and a browser has six connections. */
const AT_ONCE = 2;

export function show(main) {
  const files = [];
  let working = 0;

  function take(list) {
    for (const file of list) files.push({ file, isOpen: false, progress: 0 });
    if (files.length === 1) files[0].isOpen = true;
    draw();
    work();
  }

  async function work() {
    while (working < AT_ONCE) {
      const next = files.find((one) => !one.state);
      if (!next) return;
      next.state = 'busy';
      working += 1;
      judge(next).finally(() => {
        working -= 1;
        work();
      });
    }
  }

  async function judge(one) {
    one.abort = new AbortController();
    try {
      const onProgress = (sent, total) => {
        one.progress = total ? sent / total : 0;
        one.bar?.setAttribute('value', one.progress);
      };
      one.judged = await upload(`/app/api/reports?name=${encodeURIComponent(one.file.name || 'file')}`, one.file, { onProgress, signal: one.abort.signal });
    } catch (error) {
      if (error.name === 'AbortError') return;
      one.error = error;
    }
    one.state = 'done';
    one.view = undefined;
    redraw(one);
    summary();
  }

  function remove(one) {
    one.abort?.abort();
    if (one.judged) call('DELETE', `/app/api/reports/${one.judged.reportId}`).catch(() => {});
    files.splice(files.indexOf(one), 1);
    draw();
  }

  function line(one) {
    const kind = one.error ? 'failed' : one.judged ? kindOf(one.judged.report.indication) : 'busy';
    const word = one.error ? t('notJudged') : one.judged ? t(`verdict.${one.judged.report.indication}`) : t('judging');
    one.bar = one.judged || one.error ? undefined : h('progress', { value: one.progress, 'aria-label': t('judging') });
    return h('summary', { class: 'file-line' }, mark(kind), h('b', { class: `word ${kind}` }, word), h('span', { class: 'file-name' }, strange(one.file.name)),
      h('span', { class: 'file-count' }, one.judged ? counted(one.judged.report) : one.bar ?? ''), h('small', {}, bytes(one.file.size)));
  }

  /** The file's part of the page; what is inside is made when it is opened. */
  function part(one) {
    const body = h('div', {});
    const fill = () => {
      if (one.judged) one.view ??= reportView(one.judged, one.file.name);
      body.replaceChildren(...(one.error ? [told(one.error)] : one.view ? [one.view] : []), h('p', { class: 'remove' }, h('button', { type: 'button', class: 'quiet', onclick: () => remove(one) }, t('removeFile'))));
    };
    const made = h('details', { class: 'file', open: one.isOpen, ontoggle: () => {
      one.isOpen = made.open;
      if (made.open) fill();
    } }, line(one), body);
    if (one.isOpen) fill();
    one.part = made;
    return made;
  }

  function redraw(one) {
    one.part?.replaceWith(part(one));
  }

  const total = h('p', { class: 'total', role: 'status' });
  function summary() {
    const done = files.filter((one) => one.state === 'done');
    const of = (kind) => done.filter((one) => (one.error ? 'failed' : kindOf(one.judged.report.indication)) === kind).length;
    total.hidden = files.length < 2;
    total.textContent = t('filesTotal', { done: done.length, all: files.length, passed: of('passed'), open: of('indeterminate'), failed: of('failed') });
  }

  function draw() {
    for (const one of files) one.view = undefined; // in the language of now
    fill(main,
      h('h1', {}, t('page.verify')),
      h('p', { class: 'lead' }, t('verifyLead')),
      drop({ label: t('dropFiles'), note: t('dropNote'), multiple: true, take }),
      total,
      h('div', { class: 'files' }, files.map(part)));
    summary();
  }

  addEventListener('beforeprint', () => document.querySelectorAll('.report details').forEach((one) => { one.open = true; }));
  return { draw };
}

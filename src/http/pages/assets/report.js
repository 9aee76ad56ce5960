// A verdict for people: one word first, then what it rests on, then what is technical. Only the agent's report decides; this shows it.
import { day, fresh, h, harmless, known, language, rows, save, strange, t, time, uscc } from './dom.js';
import { call, told } from './agent.js';

const LAYERS = ['format', 'integrity', 'signature', 'seal', 'certificate', 'time', 'coverage'];
const MARK = { passed: '✔', failed: '✘', indeterminate: '!', skipped: '–', busy: '…' };
const KIND = { TOTAL_PASSED: 'passed', TOTAL_FAILED: 'failed', INDETERMINATE: 'indeterminate' };
const LEVEL = { error: 'failed', indeterminate: 'indeterminate', warning: 'warning', info: 'info' };
/** Width of a page picture, in pixels. */
const PAGE_PIXELS = 1000;

export const kindOf = (indication) => KIND[indication] ?? 'indeterminate';

/** The sign and the word of a state; colour is never the only sign. */
export const mark = (kind) => h('span', { class: `mark ${kind}`, 'aria-hidden': 'true' }, MARK[kind] ?? '·');

/** "2 signatures: all valid" */
export function counted(report) {
  const all = report.signatures.length ? report.signatures : report.seals ?? [];
  const what = report.signatures.length || !report.seals?.length ? 'signatures' : 'seals';
  if (!all.length) return report.format === 'ofd' || report.format === 'pdf' ? t('count.none') : t('count.unreadable');
  const of = (indication) => all.filter((one) => one.indication === indication).length;
  const head = what === 'seals' ? t('count.seals', { n: all.length }) : t('count.signatures', { n: all.length });
  if (of('TOTAL_PASSED') === all.length) return `${head}${all.length > 1 ? t('count.allValid') : t('count.valid')}`;
  const parts = [['TOTAL_FAILED', t('count.failed', { n: of('TOTAL_FAILED') })], ['INDETERMINATE', t('count.open', { n: of('INDETERMINATE') })], ['TOTAL_PASSED', t('count.passed', { n: of('TOTAL_PASSED') })]];
  return `${head}${parts.filter(([indication]) => of(indication)).map(([, text]) => text).join(t('count.and'))}`;
}

const message = (finding) => (language() === 'zh' ? finding.messageZh : finding.message);

function findings(list) {
  return h('ul', { class: 'findings' }, list.map((finding) => h('li', { class: LEVEL[finding.level] ?? 'info' },
    h('span', { class: `mark ${LEVEL[finding.level]}`, 'aria-hidden': 'true' }, { error: '✘', indeterminate: '!', warning: '⚠', info: 'i' }[finding.level] ?? '·'),
    h('span', {}, h('span', { class: 'unseen' }, `${t(`level.${finding.level}`)}: `), h('bdi', {}, message(finding)), ' ', h('span', { class: 'code' }, finding.code)))));
}

/** What regions were asked, and who did not answer. */
function questions(list) {
  return h('section', {}, h('h3', {}, t('asked')), h('ul', { class: 'findings' }, list.map((one) => h('li', { class: one.outcome === 'answered' ? 'info' : 'warning' },
    h('span', {}, t(`question.${one.question}`), ' ', h('bdi', {}, one.subject), ' · ', one.region, one.host ? ` (${one.host})` : '', ' · ', t(`outcome.${one.outcome}`))))));
}

/** What is missing and how to get it; nothing where nothing can be done. */
function advice(signature) {
  const key = `advice.${signature.subIndication}`;
  return signature.subIndication && known(key) ? h('p', { class: 'advice' }, h('b', {}, t('whatToDo')), ' ', t(`advice.${signature.subIndication}`)) : undefined;
}

/** The seven layers; each opens what is to be said about it. */
function layers(signature) {
  const panel = h('div', { class: 'layer-panel', id: fresh('layer'), hidden: true });
  const buttons = LAYERS.filter((layer) => signature.layers[layer]).map((layer) => {
    const state = signature.layers[layer];
    const button = h('button', { type: 'button', class: `layer ${state}`, 'aria-expanded': 'false', 'aria-controls': panel.id },
      mark(state), h('span', {}, t(`layer.${layer}`)), h('span', { class: 'unseen' }, `: ${t(`state.${state}`)}`));
    button.addEventListener('click', () => {
      const opens = button.getAttribute('aria-expanded') !== 'true';
      for (const other of buttons) other.setAttribute('aria-expanded', String(other === button && opens));
      panel.hidden = !opens;
      const about = signature.findings.filter((finding) => finding.layer === layer);
      panel.replaceChildren(h('p', {}, h('b', {}, `${t(`layer.${layer}`)}: ${t(`state.${state}`)}`), ' ', t(`about.${layer}`)),
        about.length ? findings(about) : h('p', { class: 'soft' }, state === 'skipped' ? t('layerSkipped') : t('layerQuiet')));
    });
    return button;
  });
  return [h('div', { class: 'layers', role: 'group', 'aria-label': t('layersLabel') }, buttons), panel];
}

function regions(signature) {
  const names = [...new Set([signature.signer?.region, signature.seal?.region].filter(Boolean))];
  if (!names.length) return signature.layers.certificate === 'passed' ? undefined : t('regionNone');
  return names.map((name, n) => [n > 0 && ' / ', strange(name)]);
}

function sealPicture(judged, number, signature) {
  const size = judged.pictures[number];
  const name = signature.seal?.name ?? signature.signer?.name ?? signature.id;
  const frame = h('div', { class: 'seal-picture' });
  if (!size) return h('div', { class: 'seal-picture none' }, h('span', {}, t('noSealPicture')));
  call('GET', `/app/api/reports/${judged.reportId}/seals/${number}`).then((answer) => answer.blob()).then((blob) => {
    frame.replaceChildren(h('img', { src: URL.createObjectURL(blob), alt: t('sealOf', { name: harmless(name) }) }));
  }).catch(() => frame.replaceWith(h('div', { class: 'seal-picture none' }, h('span', {}, t('noSealPicture')))));
  return frame;
}

function technical(signature) {
  const { signer = {}, seal = {} } = signature;
  const code = (text) => text && h('code', {}, harmless(text));
  return h('details', { class: 'technical' }, h('summary', {}, t('technical')), rows([
    [t('tech.id'), code(signature.id)],
    [t('tech.kind'), code(signature.kind)],
    [t('tech.indication'), code([signature.indication, signature.subIndication].filter(Boolean).join(' / '))],
    [t('tech.commonName'), signer.name && strange(signer.name)],
    [t('tech.issuer'), signer.issuer && strange(signer.issuer)],
    [t('tech.serial'), code(signer.serial)],
    [t('tech.fingerprint'), code(signer.sha256)],
    [t('tech.carrier'), signer.usccCarrier && strange(signer.usccCarrier)],
    [t('tech.sealVersion'), seal.version !== undefined && code(String(seal.version))],
    [t('tech.sealType'), seal.type !== undefined && code(String(seal.type))],
    [t('tech.maker'), seal.maker && strange(seal.maker)],
  ]));
}

function uncovered(signature) {
  const list = signature.uncovered ?? [];
  if (!list.length) return undefined;
  return h('details', { class: 'uncovered', open: signature.layers.coverage !== 'passed' }, h('summary', {}, t('uncovered', { n: list.length })), h('ul', {}, list.map((path) => h('li', {}, h('code', {}, strange(path))))));
}

/** One signature, or a seal by itself. */
function card(judged, signature, number, isSeal) {
  const kind = kindOf(signature.indication);
  const { signer, seal } = signature;
  const reasons = signature.findings.filter((finding) => finding.level === 'error' || finding.level === 'indeterminate');
  return h('article', { class: `card ${kind}` },
    h('header', {}, h('h3', {}, h('span', { class: 'number' }, number + 1), ' ', strange(seal?.name ?? signer?.name ?? signature.id)), h('p', { class: `verdict ${kind}` }, mark(kind), ' ', t(`verdict.${signature.indication}`))),
    h('div', { class: 'card-body' },
      sealPicture(judged, number, signature),
      rows([
        [t('signer'), signer && strange(judged.signers[number] ?? signer.name)],
        [t('uscc'), signer?.uscc && uscc(signer.uscc)],
        [t('licence'), signer?.licence && [strange(signer.licence.name), ' · ', t(`licenceState.${signer.licence.state}`), ' ', h('small', {}, t('asOf'), ' ', day(signer.licence.asOf), ' · ', strange(signer.licence.source))]],
        [t('region'), !isSeal && signer && regions(signature)],
        [t('signedAt'), signature.signedAt && [time(signature.signedAt), ' ', h('small', {}, t(`timeSource.${signature.timeSource}`))]],
        [t('sealCode'), seal && strange(seal.esId)],
        [t('sealDates'), seal && [day(seal.validFrom), ' – ', day(seal.validTo)]],
        [t('sealStatus'), seal?.status && [t(`sealState.${seal.status}`), seal.statusAsOf && [' · ', time(seal.statusAsOf)]]],
        [t('sealMaker'), seal?.maker && strange(seal.maker)],
      ])),
    reasons.length ? [h('h4', {}, kind === 'failed' ? t('whyFailed') : t('whyOpen')), findings(reasons)] : undefined,
    advice(signature),
    layers(signature),
    uncovered(signature),
    technical(signature));
}

/** "A seals → B seals → no change since" */
function timeline(judged) {
  const { report, signers } = judged;
  const { signatures } = report;
  if (!signatures.length) return undefined;
  const last = signatures[signatures.length - 1];
  const changed = signatures.some((one) => one.layers.integrity === 'failed');
  const known = last.layers.integrity === 'passed' && last.layers.coverage === 'passed';
  const [end, kind] = changed ? [t('then.changed'), 'failed'] : known ? [t('then.unchanged'), 'passed'] : [t('then.open'), 'indeterminate'];
  const step = (one, n) => h('li', { class: kindOf(one.indication) }, mark(kindOf(one.indication)), ' ', t('then.seals', { name: harmless(signers[n] ?? one.seal?.name ?? one.id) }), one.signedAt && h('small', {}, time(one.signedAt)));
  return h('ol', { class: 'timeline', 'aria-label': t('timeline') }, signatures.slice(0, 12).map(step), signatures.length > 12 && h('li', {}, t('then.more', { n: signatures.length - 12 })), h('li', { class: kind }, mark(kind), ' ', end));
}

/** The pages with their seals, one at a time. */
function pages(judged, report) {
  if (!judged.hasPreview || !judged.pages.length) return undefined;
  const marks = (page) => judged.marks.filter((one) => one.page === page);
  const open = (page) => judged.pages[page - 1].uncoveredBy ?? [];
  const first = judged.pages.findIndex((one) => one.uncoveredBy) + 1;
  let page = first || (judged.marks.length ? Math.min(...judged.marks.map((one) => one.page)) : 1);
  let shown;
  const image = h('img', { alt: '' });
  const sheet = h('div', { class: 'sheet' }, image);
  const note = h('div', { 'aria-live': 'polite' });
  const count = h('span', {});
  const to = (next) => {
    page = Math.min(Math.max(1, next), judged.pages.length);
    load();
  };
  const back = h('button', { type: 'button', class: 'quiet', onclick: () => to(page - 1), 'aria-label': t('pageBack') }, '‹');
  const on = h('button', { type: 'button', class: 'quiet', onclick: () => to(page + 1), 'aria-label': t('pageOn') }, '›');
  const jump = (n, kind) => h('button', { type: 'button', class: `chip ${kind}`, onclick: () => to(n) }, kind === 'indeterminate' ? `! ${t('pageNumber', { n })}` : t('pageNumber', { n }));
  const special = [
    ...judged.pages.flatMap((one, n) => (one.uncoveredBy ? [[n + 1, 'indeterminate']] : [])),
    ...[...new Set(judged.marks.map((one) => one.page))].filter((n) => !open(n).length).map((n) => [n, 'seal']),
  ].sort(([a], [b]) => a - b).slice(0, 40);
  let turn = 0;
  async function load() {
    const mine = turn += 1;
    const { widthMm, heightMm } = judged.pages[page - 1];
    count.textContent = t('pageOf', { n: page, all: judged.pages.length });
    back.disabled = page === 1;
    on.disabled = page === judged.pages.length;
    sheet.style.setProperty('aspect-ratio', `${widthMm} / ${heightMm}`);
    sheet.toggleAttribute('data-open', open(page).length > 0);
    const boxes = marks(page).map((one) => {
      const kind = kindOf(report.signatures[one.signature]?.indication);
      const at = (value, whole) => `${(100 * value) / whole}%`;
      const style = { left: at(one.x, widthMm), top: at(one.y, heightMm), width: at(one.width, widthMm), height: at(one.height, heightMm) };
      return h('span', { class: `box ${kind}`, style, title: t('sealNumber', { n: one.signature + 1 }) }, h('span', { class: 'number' }, one.signature + 1));
    });
    const warnings = open(page).length ? [h('p', { class: 'notice indeterminate' }, mark('indeterminate'), ' ', t('pageUncovered', { list: open(page).map((n) => n + 1).join(', ') }))] : [];
    sheet.replaceChildren(image, ...boxes);
    sheet.toggleAttribute('data-busy', true);
    note.replaceChildren(...warnings);
    try {
      const answer = await call('GET', `/app/api/reports/${judged.reportId}/pages/${page}.png?width=${PAGE_PIXELS}`);
      const blob = await answer.blob();
      if (mine !== turn) return;
      if (shown) URL.revokeObjectURL(shown);
      shown = URL.createObjectURL(blob);
      image.src = shown;
      image.alt = t('pageAlt', { n: page });
      const drawn = JSON.parse(answer.headers.get('x-sealagent-drawn') ?? '{}');
      if (drawn.isIncomplete) note.append(h('p', { class: 'notice indeterminate' }, mark('indeterminate'), ' ', t('pageIncomplete')));
      const lines = (language() === 'zh' ? drawn.zh : drawn.en) ?? [];
      if (lines.length) note.append(h('details', {}, h('summary', {}, t('pageFindings', { n: lines.length })), h('ul', {}, lines.map((line) => h('li', {}, strange(line))))));
    } catch (error) {
      if (mine === turn) note.append(told(error));
    } finally {
      if (mine === turn) sheet.toggleAttribute('data-busy', false);
    }
  }
  const section = h('section', { class: 'pages' }, h('h3', {}, t('pages')), h('p', { class: 'soft' }, t('pagesNote')),
    h('div', { class: 'pager' }, back, count, on, special.length > 0 && h('span', { class: 'chips' }, special.map(([n, kind]) => jump(n, kind)))), sheet, note);
  // Drawn when it comes into sight: a person who drops forty files looks at the pages of a few.
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    load();
  });
  seen.observe(section);
  count.textContent = t('pageOf', { n: page, all: judged.pages.length });
  sheet.style.setProperty('aspect-ratio', `${judged.pages[page - 1].widthMm} / ${judged.pages[page - 1].heightMm}`);
  return section;
}

/** All of a judged file. */
export function reportView(judged, name) {
  const { report } = judged;
  const kind = kindOf(report.indication);
  const json = () => save(new Blob([`${JSON.stringify({ file: name, ...report }, null, 2)}\n`], { type: 'application/json' }), `${name}.report.json`);
  const isSeal = report.signatures.length === 0;
  return h('div', { class: 'report' },
    h('p', { class: `verdict big ${kind}` }, mark(kind), ' ', t(`verdict.${report.indication}`), h('small', {}, t(`means.${report.indication}`))),
    timeline(judged),
    report.findings.length ? findings(report.findings) : undefined,
    (isSeal ? report.seals ?? [] : report.signatures).map((signature, number) => card(judged, signature, number, isSeal)),
    report.asked ? questions(report.asked) : undefined,
    pages(judged, report),
    h('footer', { class: 'actions' },
      h('button', { type: 'button', class: 'quiet', onclick: () => print() }, t('print')),
      h('button', { type: 'button', class: 'quiet', onclick: json }, t('saveJson')),
      h('small', {}, t('judgedAt'), ' ', time(report.verifiedAt))));
}

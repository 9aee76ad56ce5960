// A document of one's own, sealed: the person chooses, this computer's prompt asks, the UKey signs.
import { day, drop, fill, h, harmless, save, strange, t } from './dom.js';
import { blob, call, json, told, upload } from './agent.js';
import { atKeyword, clicked, inside, lay, moved, within } from './place.js';
import { reportView } from './report.js';

/** Width of a page picture, in pixels. */
const PAGE_PIXELS = 1000;
/** Longest wait of one long poll, in seconds. */
const POLL = 20;

export function show(main) {
  let seals;
  let failure;
  let file;
  let document_;
  let page = 1;
  const place = { kind: 'page', x: 0, y: 0, everywhere: false, edge: 'right', text: '', every: false, field: undefined };
  let chosen;
  let running; // { abort, id, state }
  let result; // { blob, name, judged } or { error } or { ended }
  const pictures = new Map();

  const seal = () => seals?.find((one) => one.esId === chosen);
  const sealSize = () => seal() ?? { widthMm: 40, heightMm: 40 };
  const size = () => document_.pages[page - 1];

  async function load() {
    try {
      seals = await json('GET', '/v1/seals');
      chosen = seals.find((one) => one.state === 'ready')?.esId;
      await Promise.all(seals.map(async (one) => {
        const picture = await blob(`/v1/seals/${encodeURIComponent(one.esId)}/picture`).catch(() => undefined);
        if (picture?.type.startsWith('image/')) pictures.set(one.esId, URL.createObjectURL(picture));
      }));
    } catch (error) {
      failure = error;
    }
    draw();
  }

  async function take([first]) {
    if (!first) return;
    if (document_) call('DELETE', `/v1/documents/${document_.documentId}`).catch(() => {});
    [file, document_, result, failure, page] = [first, undefined, undefined, undefined, 1];
    draw();
    try {
      document_ = await upload(`/v1/documents?name=${encodeURIComponent(first.name || 'document')}`, first, {
        onProgress: (sent, total) => main.querySelector('#handing')?.setAttribute('value', sent / total),
      });
      page = document_.pages.length; // where contracts are sealed
      corner();
      const { fields } = document_;
      if (!fields.some((field) => field.name === place.field)) place.field = undefined;
      // Whoever made the file said where to sign; for whom of several a field is, the person knows.
      if (fields.length) place.kind = 'field';
      else if (place.kind === 'field') place.kind = 'page';
      if (fields.length === 1) place.field = fields[0].name;
      page = shownOn(place.field) ?? page;
    } catch (error) {
      failure = error;
      file = undefined;
    }
    draw();
  }

  /** Where a seal usually goes: low and to the right, whole on the page. */
  function corner() {
    const { widthMm, heightMm } = size();
    const own = sealSize();
    place.x = Math.max(0, Math.round(widthMm * 0.9 - own.widthMm));
    place.y = Math.max(0, Math.round(heightMm * 0.85 - own.heightMm));
  }

  const chosenField = () => document_.fields.find((field) => field.name === place.field);
  /** The page on which a field shows first. */
  const shownOn = (name) => document_.fields.find((field) => field.name === name)?.places[0]?.page;

  function move(x, y) {
    Object.assign(place, within({ x, y }, size(), sealSize()));
    const [xs, ys] = [main.querySelector('#x'), main.querySelector('#y')];
    if (xs) [xs.value, ys.value] = [place.x, place.y];
    put();
  }

  /** Puts the seal where it would land. */
  function put() {
    const ghost = main.querySelector('.ghost');
    if (!ghost) return;
    const own = sealSize();
    let where = { x: place.x, y: place.y, width: own.widthMm, height: own.heightMm };
    if (place.kind === 'straddle') where.x = place.edge === 'right' ? size().widthMm - own.widthMm / 2 : -own.widthMm / 2;
    if (place.kind === 'field') {
      const shown = chosenField()?.places.find((one) => one.page === page);
      where = shown && inside(shown, own);
    }
    ghost.hidden = !where;
    if (where) lay(ghost, where, size());
  }

  /** A field was chosen, in the list or on the picture. */
  function chooseField(name) {
    place.field = name;
    const first = shownOn(name);
    if (first && !chosenField().places.some((one) => one.page === page)) {
      page = first;
      draw();
      return;
    }
    for (const radio of main.querySelectorAll('input[name=field]')) radio.checked = radio.value === name;
    for (const button of main.querySelectorAll('button.field')) button.setAttribute('aria-pressed', button.value === name);
    main.querySelector('#go').disabled = !canAsk();
    put();
  }

  function stamp() {
    if (place.kind === 'none') return { kind: 'none' };
    if (place.kind === 'field') return { kind: 'field', name: place.field };
    if (place.kind === 'keyword') return { ...atKeyword(place.text, sealSize()), ...(place.every ? { nth: 'all' } : {}) };
    if (place.kind === 'straddle') return { kind: 'straddle', edge: place.edge, pages: 'all', y: place.y };
    const pages = place.everywhere ? document_.pages.map((one) => one.number) : [page];
    return { kind: 'page', pages, x: place.x, y: place.y };
  }

  const canAsk = () => Boolean(document_ && chosen && !running && (place.kind !== 'keyword' || place.text) && (place.kind !== 'field' || chosenField()));

  async function run() {
    const abort = new AbortController();
    running = { abort, state: 'waiting' };
    [result, failure] = [undefined, undefined];
    draw();
    try {
      const item = { documentId: document_.documentId, seal: chosen, stamp: stamp() };
      const { signatureId } = await json('POST', '/v1/signatures', { json: { items: [item], idempotencyKey: crypto.randomUUID() }, signal: abort.signal });
      running.id = signatureId;
      let status = { state: 'waiting' };
      while (status.state === 'waiting' || status.state === 'signing') {
        status = await json('GET', `/v1/signatures/${signatureId}?wait=${POLL}`, { signal: abort.signal });
        if (running.state !== status.state) {
          running.state = status.state;
          draw();
        }
      }
      if (status.state === 'done') {
        const sealed = await blob(`/v1/signatures/${signatureId}/documents/${document_.documentId}`);
        const dot = file.name.lastIndexOf('.');
        const name = dot > 0 ? `${file.name.slice(0, dot)}-signed${file.name.slice(dot)}` : `${file.name}-signed`;
        result = { blob: sealed, name };
        result.judged = await upload(`/app/api/reports?name=${encodeURIComponent(name)}`, sealed);
      } else {
        result = { ended: status.state, item: status.items.find((one) => one.code) };
      }
    } catch (error) {
      result = error.name === 'AbortError' ? { ended: 'cancelled' } : { ...result, error };
    }
    running = undefined;
    draw();
    main.querySelector('#result')?.scrollIntoView({ block: 'start' });
  }

  function cancel() {
    const { id, abort } = running;
    if (id) call('DELETE', `/v1/signatures/${id}`).catch(() => {});
    abort.abort();
  }

  // --- parts of the page ---

  function chooseSeal() {
    if (!seals) return h('p', { class: 'soft' }, t('sealsLoading'));
    if (!seals.length) return h('p', {}, t('noSeals'));
    return seals.map((one) => {
      const isReady = one.state === 'ready';
      return h('label', { class: 'option' },
        h('input', { type: 'radio', name: 'seal', value: one.esId, checked: one.esId === chosen, disabled: !isReady || Boolean(running), onchange: () => {
          chosen = one.esId;
          if (document_) move(place.x, place.y);
          draw();
        } }),
        h('span', {}, h('b', {}, strange(one.name)), h('small', {}, isReady ? [t('sealCode'), ' ', strange(one.esId), ' · ', t('validUntil'), ' ', day(one.validTo)] : t(`seal.${one.state}`))),
        pictures.has(one.esId) && h('img', { src: pictures.get(one.esId), alt: '' }));
    });
  }

  function choosePlace() {
    const radio = (kind) => h('label', { class: 'inline' }, h('input', { type: 'radio', name: 'place', value: kind, checked: place.kind === kind, disabled: kind === 'straddle' && document_.pages.length < 2, onchange: () => {
      place.kind = kind;
      draw();
    } }), ' ', t(`place.${kind}`));
    const number = (id, label, value, set) => h('label', { class: 'inline' }, label, ' ', h('input', { id, type: 'number', step: '0.1', min: '0', value, onchange: (event) => set(Number(event.target.value) || 0) }), ' mm');
    return [
      h('div', { class: 'choices', role: 'radiogroup', 'aria-label': t('where') }, [...(document_.fields.length ? ['field'] : []), 'page', 'keyword', 'straddle', 'none'].map(radio)),
      place.kind === 'field' && h('div', { class: 'fields', role: 'radiogroup', 'aria-label': t('place.field') }, document_.fields.map((field) => h('label', { class: 'option' },
        h('input', { type: 'radio', name: 'field', value: field.name, checked: field.name === place.field, disabled: Boolean(running), onchange: () => chooseField(field.name) }),
        h('span', {}, h('b', {}, strange(field.name)), h('small', {}, field.places.length ? field.places.map(({ page: n, x, y }) => t('fieldAt', { n, x: x.toFixed(0), y: y.toFixed(0) })).join(' · ') : t('fieldHidden')), field.closes && h('small', {}, t('fieldCloses')))))),
      place.kind === 'page' && h('div', { class: 'choices' }, number('x', t('fromLeft'), place.x, (x) => move(x, place.y)), number('y', t('fromTop'), place.y, (y) => move(place.x, y)),
        document_.pages.length > 1 && h('label', { class: 'inline' }, h('input', { type: 'checkbox', checked: place.everywhere, onchange: (event) => { place.everywhere = event.target.checked; } }), ' ', t('everyPage', { n: document_.pages.length }))),
      place.kind === 'keyword' && h('div', { class: 'choices' }, h('label', { class: 'inline' }, t('keyword'), ' ', h('input', { id: 'keyword', value: place.text, maxlength: '100', oninput: (event) => {
        place.text = event.target.value.trim();
        main.querySelector('#go').disabled = !canAsk();
      } })), h('label', { class: 'inline' }, h('input', { type: 'checkbox', checked: place.every, onchange: (event) => { place.every = event.target.checked; } }), ' ', t('everyKeyword'))),
      place.kind === 'straddle' && h('div', { class: 'choices' }, number('y', t('fromTop'), place.y, (y) => move(place.x, y)), ['right', 'left'].map((edge) => h('label', { class: 'inline' }, h('input', { type: 'radio', name: 'edge', checked: place.edge === edge, onchange: () => {
        place.edge = edge;
        put();
      } }), ' ', t(`edge.${edge}`)))),
    ];
  }

  /** The empty fields of the page that is shown, each a button over its place. */
  function fields() {
    if (place.kind !== 'field') return undefined;
    return document_.fields.flatMap((field) => field.places.filter((one) => one.page === page).map((one) => {
      const button = h('button', { type: 'button', class: 'field', value: field.name, disabled: Boolean(running), 'aria-pressed': String(field.name === place.field), 'aria-label': t('fieldPick', { name: harmless(field.name) }), onclick: () => chooseField(field.name) });
      lay(button, one, size());
      return button;
    }));
  }

  function sheet() {
    const { widthMm, heightMm } = size();
    const image = h('img', { alt: t('pageAlt', { n: page }) });
    const note = h('div', { 'aria-live': 'polite' });
    const visible = place.kind === 'page' || place.kind === 'straddle';
    const ghost = (visible || place.kind === 'field') && h('span', { class: 'ghost' }, pictures.has(chosen) ? h('img', { src: pictures.get(chosen), alt: '' }) : h('span', {}, t('sealHere')));
    const made = h('div', { class: visible ? 'sheet pick' : 'sheet', 'data-busy': true, tabindex: visible && '0', role: visible && 'application', 'aria-label': t('pickLabel'), style: { 'aspect-ratio': `${widthMm} / ${heightMm}` },
      onclick: (event) => {
        const to = visible && !running && clicked(event, made, size(), sealSize());
        if (to) move(to.x, to.y);
      },
      onkeydown: (event) => {
        const to = visible && !running && moved(event, place);
        if (!to) return;
        event.preventDefault();
        move(to.x, to.y);
      } }, image, fields(), ghost);
    call('GET', `/v1/documents/${document_.documentId}/pages/${page}.png?width=${PAGE_PIXELS}`).then(async (answer) => {
      image.src = URL.createObjectURL(await answer.blob());
      const drawn = JSON.parse(answer.headers.get('x-sealagent-drawn') ?? '{}');
      if (drawn.isIncomplete) note.append(h('p', { class: 'notice indeterminate' }, '! ', t('pageIncomplete')));
    }).catch((error) => {
      if (error.code === 'not_found') note.append(h('p', { class: 'notice indeterminate' }, '! ', t('noPreview')));
      else if (error.name !== 'AbortError') note.append(told(error));
    }).finally(() => made.removeAttribute('data-busy'));
    const to = (next) => {
      page = next;
      move(place.x, place.y);
      draw();
    };
    return [
      h('div', { class: 'pager' }, h('button', { type: 'button', class: 'quiet', disabled: page === 1, onclick: () => to(page - 1), 'aria-label': t('pageBack') }, '‹'),
        h('span', {}, t('pageOf', { n: page, all: document_.pages.length })),
        h('button', { type: 'button', class: 'quiet', disabled: page === document_.pages.length, onclick: () => to(page + 1), 'aria-label': t('pageOn') }, '›')),
      made, note,
    ];
  }

  function outcome() {
    if (!result) return undefined;
    const { error, ended, item, judged, name } = result;
    return h('section', { class: 'panel', id: 'result' }, h('h2', {}, t('result')),
      error && told(error),
      ended && h('p', { class: 'notice indeterminate', role: 'alert' }, '! ', t(`ended.${ended}`)),
      item && told(item),
      result.blob && h('p', { class: 'actions' }, h('button', { type: 'button', onclick: () => save(result.blob, name) }, t('download')), ' ', h('small', {}, strange(name))),
      judged && reportView(judged, name));
  }

  function draw() {
    fill(main,
      h('h1', {}, t('page.sign')),
      h('p', { class: 'lead' }, t('signLead')),
      failure && told(failure),
      h('div', { class: 'two' },
        h('section', { class: 'panel' },
          h('h2', {}, h('span', { class: 'number' }, '1'), ' ', t('document')),
          drop({ label: file ? harmless(file.name) : t('dropDocument'), note: file ? t('dropAnother') : t('dropDocumentNote'), accept: '.ofd,.pdf', multiple: false, take }),
          file && !document_ && h('progress', { id: 'handing', value: 0, 'aria-label': t('handing') }),
          document_?.signatures > 0 && h('p', { class: 'soft' }, t('hasSignatures', { n: document_.signatures })),
          document_?.closed && h('p', { class: 'notice bad' }, '✘ ', t('isClosed')),
          h('h2', {}, h('span', { class: 'number' }, '2'), ' ', t('seal')),
          h('div', { role: 'radiogroup', 'aria-label': t('seal') }, chooseSeal()),
          document_ && [h('h2', {}, h('span', { class: 'number' }, '3'), ' ', t('where')), choosePlace()],
          h('p', { class: 'actions' },
            h('button', { id: 'go', type: 'button', disabled: !canAsk(), onclick: run }, t('askForSeal')),
            running && h('button', { id: 'cancel', type: 'button', class: 'quiet', onclick: cancel }, t('withdraw'))),
          running && h('p', { class: 'waiting', role: 'status' }, t(`running.${running.state === 'signing' ? 'signing' : 'waiting'}`))),
        document_ && h('section', { class: 'panel' }, h('h2', {}, t('pageShown')), h('p', { class: 'soft' }, place.kind === 'none' ? t('noSealShown') : place.kind === 'keyword' ? t('keywordNote') : place.kind === 'field' ? t('fieldNote') : t('pickNote')), sheet())),
      outcome());
    if (document_) put();
  }

  load();
  return { draw };
}

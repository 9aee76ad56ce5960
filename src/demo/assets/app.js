import { atKeyword, clicked, lay, moved, within } from './place.js';
import { agentOn, sealAndVerify } from './seal.js';

const $ = (id) => document.getElementById(id);
const own = async (path) => (await fetch(path)).json();
const [texts, { ports, stamp, sampleName }] = await Promise.all([own('texts.json'), own('demo.json')]);
const agent = agentOn(ports);

let language = navigator.language.startsWith('zh') ? 'zh' : 'en';
let ownFiles = [];
let running = null;
let shown = { results: null, failure: null, approve: 'approveIdle', seals: null };

const t = (key) => texts[key]?.[language] ?? key;
const element = (tag, text, attributes = {}) => {
  const made = Object.assign(document.createElement(tag), attributes);
  if (text !== undefined) made.textContent = text;
  return made;
};

function translate() {
  document.documentElement.lang = language;
  document.title = t('title');
  for (const node of document.querySelectorAll('[data-text]')) node.textContent = t(node.dataset.text);
  if (ownFiles.length) $('own-name').textContent = namesOf(ownFiles);
  $('sheet').setAttribute('aria-label', t('placeNote'));
  showWhere();
  $('approve-now').textContent = t(shown.approve);
  showSeals();
  showReport();
  showFailure();
}

// --- 1 choose ---

async function loadSeals() {
  try {
    const seals = await agent.seals();
    shown.seals = await Promise.all(seals.map(async (seal) => {
      const picture = await agent.sealPicture(seal.esId).catch(() => null);
      return { ...seal, picture: picture ? URL.createObjectURL(picture) : null };
    }));
  } catch (error) {
    shown.failure = error;
  }
  translate();
}

function showSeals() {
  if (!shown.seals) return;
  const chosen = chosenSeal();
  const options = shown.seals.map((seal) => {
    const label = element('label', undefined, { className: 'option' });
    const isReady = seal.state === 'ready';
    const input = element('input', undefined, { type: 'radio', name: 'seal', value: seal.esId, disabled: !isReady });
    const text = element('span');
    text.append(element('b', seal.name), element('small', isReady ? `${t('sealCode')} ${seal.esId}` : t(`seal_${seal.state}`)));
    label.append(input, text);
    if (seal.picture) label.append(element('img', undefined, { src: seal.picture, alt: seal.name }));
    return label;
  });
  $('seals').replaceChildren(...(options.length ? options : [element('p', t('noSeals'))]));
  const usable = [...$('seals').querySelectorAll('input:not(:disabled)')];
  (usable.find((input) => input.value === chosen) ?? usable[0] ?? {}).checked = true;
  $('go').disabled = running !== null || usable.length === 0;
}

const chosenSeal = () => document.querySelector('input[name=seal]:checked')?.value;

const namesOf = (files) => (files.length > 2 ? t('fileCount').replace('{n}', files.length) : files.map((file) => file.name).join('、'));

function takeFiles(files) {
  if (!files.length) return;
  ownFiles = files;
  document.querySelector('input[name=document][value=own]').checked = true;
  $('own-name').textContent = namesOf(files);
  pick();
}

async function chosenFiles() {
  if (document.querySelector('input[name=document]:checked').value === 'own') {
    if (!ownFiles.length) throw Object.assign(new Error('no file'), { message: texts.noFile.en, messageZh: texts.noFile.zh });
    return ownFiles;
  }
  const sample = await (await fetch('sample.ofd')).blob();
  return [new File([sample], sampleName)];
}

// --- where the seal goes: a click on the picture of a page, in mm ---

const place = { ...stamp, page: stamp.pages[0] };
let picked = null; // the first document, handed over for its pictures
let turn = 0;

async function pick() {
  const mine = turn += 1;
  try {
    const [file] = await chosenFiles();
    const handed = await agent.uploadDocument(file);
    if (mine !== turn) return void agent.deleteDocument(handed.documentId).catch(() => {});
    if (picked) agent.deleteDocument(picked.documentId).catch(() => {});
    picked = handed;
    place.page = Math.min(place.page, picked.pages.length);
    showFields();
    await showPage();
  } catch {
    // Without a picture the seal goes where the site says.
    if (mine === turn) $('place').hidden = true;
  }
}

async function showPage() {
  const shownPage = place.page;
  const picture = await agent.pagePicture(picked.documentId, shownPage, { width: 1000 });
  if (shownPage !== place.page) return;
  if ($('page').src) URL.revokeObjectURL($('page').src);
  $('page').src = URL.createObjectURL(picture);
  $('place').hidden = false;
  $('pager').hidden = picked.pages.length < 2;
  $('page-now').textContent = `${place.page} / ${picked.pages.length}`;
  $('back').disabled = place.page === 1;
  $('on').disabled = place.page === picked.pages.length;
  move(place);
}

const sealSize = () => {
  const { widthMm = 40, heightMm = 40 } = shown.seals?.find((one) => one.esId === chosenSeal()) ?? {};
  return { widthMm, heightMm };
};
const pageSize = () => picked.pages[place.page - 1];

function move({ x, y }) {
  if (!picked) return;
  const seal = sealSize();
  Object.assign(place, within({ x, y }, pageSize(), seal));
  const ghost = $('ghost');
  const picture = shown.seals?.find((one) => one.esId === chosenSeal())?.picture;
  if (picture && ghost.src !== picture) ghost.src = picture;
  lay(ghost, { x: place.x, y: place.y, width: seal.widthMm, height: seal.heightMm }, pageSize());
  showWhere();
}

function showWhere() {
  $('where').textContent = picked ? `${t('page')} ${place.page}: ${place.x} mm, ${place.y} mm` : '';
}

const by = () => document.querySelector('input[name=by]:checked').value;
for (const kind of ['keyword', 'field']) $(kind).onfocus = () => { document.querySelector(`input[name=by][value=${kind}]`).click(); };
for (const choice of document.querySelectorAll('input[name=by]')) choice.addEventListener('change', () => { $('picker').hidden = by() !== 'click'; });

/** The fields that the document's author left for signatures. */
function showFields() {
  const { fields } = picked;
  $('by-field').hidden = !fields.length;
  $('field').replaceChildren(...fields.map(({ name, places: [first] }) => element('option', first ? `${name} (${t('page')} ${first.page})` : name, { value: name })));
  if (!fields.length && by() === 'field') document.querySelector('input[name=by][value=click]').click();
}

/** What the agent is asked for. */
const wanted = {
  click: () => ({ kind: 'page', pages: [place.page], x: place.x, y: place.y }),
  field: () => ({ kind: 'field', name: $('field').value }),
  keyword: () => atKeyword($('keyword').value.trim(), sealSize()),
};

$('sheet').onclick = (event) => {
  const to = picked && clicked(event, $('sheet'), pageSize(), sealSize());
  if (to) move(to);
};
$('sheet').onkeydown = (event) => {
  const to = moved(event, place);
  if (!to) return;
  event.preventDefault();
  move(to);
};
for (const [id, by] of [['back', -1], ['on', 1]]) {
  $(id).onclick = () => {
    place.page += by;
    showPage().catch(() => {});
  };
}

// --- 2 approve ---

const STEPS = ['request', 'approve', 'sign', 'embed', 'verify'];

function trail(step, state, note = '') {
  const node = document.querySelector(`#trail [data-step=${step}]`);
  node.dataset.state = state;
  node.querySelector('small').textContent = note;
  if (state === 'now') node.setAttribute('aria-current', 'step');
  else node.removeAttribute('aria-current');
}

function approve(key, isWaiting) {
  shown.approve = key;
  $('approve-now').textContent = t(key);
  $('approve-now').toggleAttribute('data-waiting', isWaiting);
}

function active(id) {
  for (const section of document.querySelectorAll('main section')) section.toggleAttribute('data-active', section.id === id);
}

async function run() {
  running = new AbortController();
  shown.results = shown.failure = null;
  STEPS.forEach((step) => trail(step, ''));
  $('go').disabled = true;
  $('cancel').hidden = false;
  $('verify-page').hidden = true;
  showReport();
  showFailure();
  let step = 'request';
  const goTo = (next) => {
    trail(step, 'done', new Date().toLocaleTimeString(language));
    step = next;
    if (next) trail(next, 'now');
  };
  try {
    trail('request', 'now', location.origin);
    active('approve');
    approve('approveWaiting', true);
    const files = await chosenFiles();
    const total = files.reduce((sum, file) => sum + file.size, 0) || 1;
    const sent = new Map();
    const onProgress = (file, bytes) => {
      sent.set(file, bytes);
      $('progress').value = [...sent.values()].reduce((sum, one) => sum + one, 0) / total;
    };
    const onState = (state) => {
      $('progress').hidden = true;
      if (state === 'waiting' && step === 'request') goTo('approve');
      if (state === 'signing') {
        if (step === 'approve') goTo('sign');
        approve('approveSigning', true);
      }
    };
    $('progress').value = 0;
    $('progress').hidden = false;
    shown.results = await sealAndVerify(agent, files, chosenSeal(), wanted[by()](), { onProgress, onState, signal: running.signal });
    while (step !== 'verify') goTo(STEPS[STEPS.indexOf(step) + 1]);
    approve('approveDone', false);
    active('result');
    goTo(null);
    showReport();
  } catch (error) {
    shown.failure = error.code === 'cancelled' ? Object.assign(new Error(), { state: 'cancelled' }) : error;
    if (step) trail(step, 'failed');
    approve('approveIdle', false);
    active(null);
    showFailure();
  } finally {
    running = null;
    $('progress').hidden = true;
    $('cancel').hidden = true;
    showSeals();
  }
}

// --- 3 result ---

const MARK = { passed: '✔', failed: '✘', indeterminate: '!', skipped: '–' };
const kind = (indication) => ({ TOTAL_PASSED: 'passed', TOTAL_FAILED: 'failed' })[indication] ?? 'indeterminate';

/** The name of a sealed file: before its ending, if it has one. */
const sealedName = (name) => name.replace(/(\.[^.]*)?$/, '-signed$1');

function showReport() {
  const { results } = shown;
  $('result-idle').hidden = Boolean(results);
  $('verify-page').hidden = !results;
  $('report').replaceChildren(...(results ?? []).flatMap(fileReport));
}

function fileReport({ name, sealed, report }) {
  const link = element('a', t('download'), { className: 'button', href: URL.createObjectURL(sealed), download: sealedName(name) });
  const parts = [
    element('p', `${MARK[kind(report.indication)]} ${t(report.indication)}`, { className: `verdict ${kind(report.indication)}` }),
    element('p', name, { className: 'file-name' }),
  ];
  for (const signature of report.signatures) {
    const rows = [
      [t('seal'), signature.seal && `${signature.seal.name}（${signature.seal.esId}）`],
      [t('signer'), signature.signer?.name],
      [t('uscc'), signature.signer?.uscc],
      [t('signedAt'), signature.signedAt && `${new Date(signature.signedAt).toLocaleString(language, { timeZoneName: 'short' })} (${t(signature.timeSource)})`],
    ];
    const list = element('dl');
    for (const [title, value] of rows) if (value) list.append(element('dt', title), element('dd', value));
    const layers = element('ul', undefined, { className: 'layers' });
    for (const [layer, state] of Object.entries(signature.layers)) layers.append(element('li', `${MARK[state]} ${t(layer)}`, { title: t(state) }));
    parts.push(list, layers, findings(signature.findings));
  }
  const save = element('p');
  save.append(link);
  return [...parts, findings(report.findings), save];
}

function findings(list) {
  const made = element('ul', undefined, { className: 'findings' });
  for (const finding of list ?? []) {
    const row = element('li', language === 'zh' ? finding.messageZh : finding.message);
    row.append(' ', element('span', finding.code, { className: 'code' }));
    made.append(row);
  }
  return made;
}

function showFailure() {
  const failure = shown.failure;
  $('error').hidden = failure === null;
  if (!failure) return;
  const said = language === 'zh' ? failure.messageZh : failure.message;
  const isOwn = texts[`state_${failure.state}`] && (!failure.code || failure.code === failure.state);
  const text = isOwn ? t(`state_${failure.state}`) : said ?? failure.message;
  $('error').textContent = `✘ ${text}${failure.code && !isOwn ? ` (${failure.code})` : ''}`;
}

// --- page ---

$('language').onclick = () => { language = language === 'zh' ? 'en' : 'zh'; translate(); };
$('go').onclick = run;
$('cancel').onclick = () => running?.abort();
$('file').onchange = (event) => takeFiles([...event.target.files]);
for (const choice of document.querySelectorAll('input[name=document]')) choice.addEventListener('change', pick);
$('seals').addEventListener('change', () => move(place));
$('verify-link').href = `http://127.0.0.1:${ports[0]}/app/verify`;
for (const name of ['dragover', 'dragleave', 'drop']) {
  $('drop').addEventListener(name, (event) => {
    event.preventDefault();
    $('drop').toggleAttribute('data-over', name === 'dragover');
    if (name === 'drop') takeFiles([...event.dataTransfer.files]);
  });
}
$('source').textContent = await (await fetch('seal.js')).text();
$('copy').onclick = async () => {
  await navigator.clipboard.writeText($('source').textContent);
  $('copy').textContent = t('copied');
  setTimeout(() => { $('copy').textContent = t('copy'); }, 2000);
};
translate();
await loadSeals();
if (shown.seals) await pick();

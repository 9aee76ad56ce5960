import { call, sealDocument } from './seal.js';

const $ = (id) => document.getElementById(id);
const own = async (path) => (await fetch(path)).json();
const [texts, { agent, stamp, sampleName }] = await Promise.all([own('texts.json'), own('demo.json')]);

let language = navigator.language.startsWith('zh') ? 'zh' : 'en';
let ownFile = null;
let running = null;
let shown = { report: null, failure: null, approve: 'approveIdle', seals: null };

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
  if (ownFile) $('own-name').textContent = ownFile.name;
  $('approve-now').textContent = t(shown.approve);
  showSeals();
  showReport();
  showFailure();
}

// --- 1 choose ---

async function loadSeals() {
  try {
    await call(agent, 'GET', '/v1/info');
    const seals = await call(agent, 'GET', '/v1/seals');
    shown.seals = await Promise.all(seals.map(async (seal) => {
      const picture = await call(agent, 'GET', `/v1/seals/${encodeURIComponent(seal.esId)}/picture`).catch(() => null);
      return { ...seal, picture: picture instanceof Blob ? URL.createObjectURL(picture) : null };
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

function takeFile(file) {
  if (!file) return;
  ownFile = file;
  document.querySelector('input[name=document][value=own]').checked = true;
  $('own-name').textContent = file.name;
}

async function chosenFile() {
  if (document.querySelector('input[name=document]:checked').value === 'own') {
    if (!ownFile) throw Object.assign(new Error('no file'), { message: texts.noFile.en, messageZh: texts.noFile.zh });
    return ownFile;
  }
  const sample = await (await fetch('sample.ofd')).blob();
  return new File([sample], sampleName);
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
  shown.report = shown.failure = null;
  STEPS.forEach((step) => trail(step, ''));
  $('go').disabled = true;
  $('cancel').hidden = false;
  $('download').hidden = true;
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
    const file = await chosenFile();
    const signed = await sealDocument(agent, file, chosenSeal(), stamp, (state) => {
      if (state === 'waiting' && step === 'request') goTo('approve');
      if (state === 'signing') {
        if (step === 'approve') goTo('sign');
        approve('approveSigning', true);
      }
    }, running.signal);
    while (step !== 'embed') goTo(STEPS[STEPS.indexOf(step) + 1]);
    $('cancel').hidden = true;
    approve('approveDone', false);
    offer(signed, file.name.replace(/(\.ofd)?$/i, '-signed.ofd'));
    goTo('verify');
    active('result');
    shown.report = await call(agent, 'POST', `/v1/verifications?name=${encodeURIComponent(file.name)}`, signed, 'application/ofd');
    goTo(null);
    showReport();
  } catch (error) {
    shown.failure = error.name === 'AbortError' ? Object.assign(new Error(), { state: 'cancelled' }) : error;
    if (step) trail(step, 'failed');
    approve('approveIdle', false);
    active(null);
    showFailure();
  } finally {
    running = null;
    $('cancel').hidden = true;
    showSeals();
  }
}

// --- 3 result ---

function offer(blob, name) {
  if ($('download').href) URL.revokeObjectURL($('download').href);
  $('download').href = URL.createObjectURL(blob);
  $('download').download = name;
  $('download').hidden = false;
}

const MARK = { passed: '✔', failed: '✘', indeterminate: '!', skipped: '–' };
const kind = (indication) => ({ TOTAL_PASSED: 'passed', TOTAL_FAILED: 'failed' })[indication] ?? 'indeterminate';

function showReport() {
  const report = shown.report;
  $('result-idle').hidden = report !== null;
  if (!report) return $('report').replaceChildren();
  const parts = [element('p', `${MARK[kind(report.indication)]} ${t(report.indication)}`, { className: `verdict ${kind(report.indication)}` })];
  for (const signature of report.signatures) {
    const rows = [
      [t('seal'), signature.seal && `${signature.seal.name}（${signature.seal.esId}）`],
      [t('signer'), signature.signer?.name],
      [t('uscc'), signature.signer?.uscc],
      [t('signedAt'), signature.signedAt && `${new Date(signature.signedAt).toLocaleString(language, { timeZoneName: 'short' })} (${t(signature.timeSource)})`],
    ];
    const list = element('dl');
    for (const [name, value] of rows) if (value) list.append(element('dt', name), element('dd', value));
    const layers = element('ul', undefined, { className: 'layers' });
    for (const [layer, state] of Object.entries(signature.layers)) layers.append(element('li', `${MARK[state]} ${t(layer)}`, { title: t(state) }));
    parts.push(list, layers, findings(signature.findings));
  }
  $('report').replaceChildren(...parts, findings(report.findings));
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
  const isUnreachable = failure instanceof TypeError;
  const text = isUnreachable ? t('unreachable') : texts[`state_${failure.state}`] && !failure.code ? t(`state_${failure.state}`) : said ?? failure.message;
  $('error').textContent = `✘ ${text}${failure.code ? ` (${failure.code})` : ''}`;
}

// --- page ---

$('language').onclick = () => { language = language === 'zh' ? 'en' : 'zh'; translate(); };
$('go').onclick = run;
$('cancel').onclick = () => running?.abort();
$('file').onchange = (event) => takeFile(event.target.files[0]);
for (const name of ['dragover', 'dragleave', 'drop']) {
  $('drop').addEventListener(name, (event) => {
    event.preventDefault();
    $('drop').toggleAttribute('data-over', name === 'dragover');
    if (name === 'drop') takeFile(event.dataTransfer.files[0]);
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

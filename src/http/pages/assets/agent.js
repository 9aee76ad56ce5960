// Calls to the agent, from its own pages. The session's token lives in this tab alone and ends with it.
import { h, harmless, language, t } from './dom.js';

const KEPT = 'sealagent-session';

/** What the agent refused, or that it did not answer. */
export class AgentError extends Error {
  constructor(body) {
    super(body.message);
    Object.assign(this, { code: body.code, messageZh: body.messageZh, detail: body.detail, requestId: body.requestId });
  }
}

const gone = () => new AgentError({ code: 'not_running', message: 'The agent does not answer. Start it with: sealagent run.', messageZh: '本机代理没有应答。请启动：sealagent run。' });

/** Uses the link that opened this page, if there is one, and takes it out of the address at once. */
export async function beginSession() {
  const link = location.hash.slice(1);
  if (!/^[0-9a-f]{64}$/.test(link)) return;
  history.replaceState(null, '', location.pathname);
  const answer = await fetch('/app/api/session', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ link }) }).catch(() => undefined);
  if (answer?.ok) sessionStorage.setItem(KEPT, (await answer.json()).token);
}

const authorization = () => {
  const token = sessionStorage.getItem(KEPT);
  return token ? { authorization: `SealAgentPage ${token}` } : {};
};

async function read(answer) {
  if (answer.ok) return answer;
  const body = await answer.json().catch(() => ({ code: `http_${answer.status}`, message: `HTTP ${answer.status}`, messageZh: `HTTP ${answer.status}` }));
  if (body.code === 'session_ended') sessionStorage.removeItem(KEPT);
  throw new AgentError(body);
}

/** One call; gives the answer of `fetch`, or throws an `AgentError`. An abort throws what `fetch` throws. */
export async function call(method, path, { json, signal } = {}) {
  const body = json === undefined ? {} : { body: JSON.stringify(json) };
  const headers = { ...authorization(), ...(json === undefined ? {} : { 'content-type': 'application/json' }) };
  let answer;
  try {
    answer = await fetch(path, { method, headers, signal, cache: 'no-store', ...body });
  } catch (error) {
    throw error.name === 'AbortError' ? error : gone();
  }
  return read(answer);
}

export const json = async (method, path, options) => (await call(method, path, options)).json();
export const blob = async (path, options) => (await call('GET', path, options)).blob();

/** Hands a file over; only `XMLHttpRequest` tells how far it is. */
export function upload(path, file, { onProgress, signal } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', path);
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.setRequestHeader('content-type', 'application/octet-stream');
    request.responseType = 'json';
    request.upload.onprogress = (event) => onProgress?.(event.loaded, event.total);
    request.onload = () => {
      const body = request.response;
      if (request.status < 300) resolve(body);
      else {
        if (body?.code === 'session_ended') sessionStorage.removeItem(KEPT);
        reject(new AgentError(body ?? { code: `http_${request.status}`, message: `HTTP ${request.status}`, messageZh: `HTTP ${request.status}` }));
      }
    };
    request.onerror = () => reject(gone());
    request.onabort = () => reject(new DOMException('withdrawn', 'AbortError'));
    signal?.addEventListener('abort', () => request.abort());
    request.send(file);
  });
}

let about;
/** Who the agent is; asked once. */
export const whoItIs = () => (about ??= json('GET', '/app/api/about').catch((error) => { about = undefined; throw error; }));

/** An error as the person reads it: what happened, what to do, and a code for the help desk in small print. */
export function told(error) {
  const said = (language() === 'zh' ? error.messageZh : undefined) ?? error.message;
  const small = [error.code, error.detail && harmless(error.detail), error.requestId].filter(Boolean).join(' · ');
  return h('div', { class: 'notice bad', role: 'alert' }, h('p', {}, h('span', { class: 'mark', 'aria-hidden': 'true' }, '✘'), ' ', said), small && h('small', { class: 'code' }, small));
}

/** What stands in place of a page that needs a session and has none. */
export function noSession() {
  return h('section', { class: 'panel' }, h('h2', {}, t('noSession')), h('p', {}, t('noSessionWhy')), h('p', {}, t('noSessionHow')), h('pre', {}, `sealagent open ${location.pathname.split('/').pop()}`));
}

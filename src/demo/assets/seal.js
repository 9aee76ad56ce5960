// Hand a document over, ask for a seal, wait for the person, fetch the sealed file.
export async function sealDocument(agent, file, seal, stamp, onState, signal) {
  const name = encodeURIComponent(file.name);
  const { documentId } = await call(agent, 'POST', `/v1/documents?name=${name}`, file, 'application/ofd', signal);
  const request = JSON.stringify({ items: [{ documentId, seal, stamp }], idempotencyKey: crypto.randomUUID() });
  const { signatureId } = await call(agent, 'POST', '/v1/signatures', request, 'application/json', signal);
  const path = `/v1/signatures/${signatureId}`;
  signal?.addEventListener('abort', () => call(agent, 'DELETE', path).catch(() => {}));
  let status = { state: 'waiting' };
  while (status.state === 'waiting' || status.state === 'signing') {
    onState?.(status.state);
    status = await call(agent, 'GET', `${path}?wait=20`, undefined, undefined, signal);
  }
  if (status.state !== 'done') throw Object.assign(new Error(status.state), status, status.items.find((item) => item.code));
  return call(agent, 'GET', `${path}/documents/${documentId}`, undefined, undefined, signal);
}

// One request to the agent on this computer. Its answer is JSON, or a file.
export async function call(agent, method, path, body, type, signal) {
  const headers = type ? { 'Content-Type': type } : {};
  const options = { mode: 'cors', credentials: 'omit', redirect: 'error', referrerPolicy: 'no-referrer' };
  const answer = await fetch(agent + path, { method, headers, body, signal, ...options });
  const isJson = (answer.headers.get('Content-Type') ?? '').startsWith('application/json');
  const result = answer.status === 204 ? undefined : isJson ? await answer.json() : await answer.blob();
  if (!answer.ok) throw Object.assign(new Error(`${method} ${path}: ${answer.status}`), isJson ? result : {});
  return result;
}

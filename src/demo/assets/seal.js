// Hand a document over, ask for a seal, wait for the person, fetch the sealed file.
export async function sealDocument(agent, file, seal, stamp, onState = () => {}, signal) {
  const { documentId } = await call(agent, 'POST', `/v1/documents?name=${encodeURIComponent(file.name)}`, file, 'application/ofd', signal);
  const items = [{ documentId, seal, stamp }];
  const { signatureId } = await call(agent, 'POST', '/v1/signatures', JSON.stringify({ items, idempotencyKey: crypto.randomUUID() }), 'application/json', signal);
  signal?.addEventListener('abort', () => call(agent, 'DELETE', `/v1/signatures/${signatureId}`).catch(() => {}));
  let status;
  do {
    status = await call(agent, 'GET', `/v1/signatures/${signatureId}?wait=20`, undefined, undefined, signal);
    onState(status.state);
  } while (status.state === 'waiting' || status.state === 'signing');
  if (status.state !== 'done') throw Object.assign(new Error(status.state), status, status.items?.find((item) => item.code));
  return call(agent, 'GET', `/v1/signatures/${signatureId}/documents/${documentId}`, undefined, undefined, signal);
}

// One request to the agent on this computer. Its answer is JSON, or a file.
export async function call(agent, method, path, body, type, signal) {
  const headers = type ? { 'Content-Type': type } : {};
  const answer = await fetch(agent + path, { method, headers, body, signal, mode: 'cors', credentials: 'omit', redirect: 'error', referrerPolicy: 'no-referrer' });
  const isJson = (answer.headers.get('Content-Type') ?? '').startsWith('application/json');
  const result = answer.status === 204 ? undefined : isJson ? await answer.json() : await answer.blob();
  if (!answer.ok) throw Object.assign(new Error(`${method} ${path}: ${answer.status}`), isJson ? result : {});
  return result;
}

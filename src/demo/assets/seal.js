// All that a page needs: find the agent on this computer, hand documents over, ask the person once, fetch the sealed files, judge them.
import { SealAgent } from './sealagent.js';

export const agentOn = (ports) => new SealAgent({ ports });

export async function sealAndVerify(agent, files, seal, stamp, { onProgress, onState, signal }) {
  const documents = [];
  for (const file of files) documents.push(await agent.uploadDocument(file, { onProgress: (sent) => onProgress(file, sent), signal }));
  const items = documents.map(({ documentId }) => ({ documentId, seal, stamp }));
  const request = await agent.requestSignatures({ items }, { signal });
  await agent.waitForSignatures(request, { onState, signal });
  return Promise.all(documents.map(async ({ documentId, name }) => {
    const sealed = await agent.signedDocument(request, documentId, { signal });
    return { name, sealed, report: await agent.verify(sealed, { name }) };
  }));
}

// All that a page needs: find the agent on this computer, hand a document over, ask the person, fetch the sealed file, judge it.
import { SealAgent } from './sealagent.js';

export const agentOn = (ports) => new SealAgent({ ports });

export async function sealAndVerify(agent, file, seal, stamp, { onState, onSealed, signal }) {
  const sealed = await agent.sealDocument(file, seal, stamp, { onState, signal });
  onSealed(sealed);
  return agent.verify(sealed, { name: file.name });
}

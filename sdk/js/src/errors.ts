// Why a call did not succeed. One class for each situation that needs other advice; `messageZh` is for Chinese pages.

/** What all errors of this library have in common. */
export abstract class SealAgentError extends Error {
  /** Stable name of the situation. */
  abstract readonly code: string;
  /** The message in Chinese. */
  readonly messageZh: string;

  constructor(message: string, messageZh: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.messageZh = messageZh;
  }
}

/** The browser does not let this site reach the computer's own programs: the person said so, closed the question, or a policy did. */
export class BlockedByBrowser extends SealAgentError {
  readonly code = 'blocked_by_browser';

  constructor(
    /** `denied`: the site's settings must be changed. `dismissed`: the question was closed and may be asked again. */
    readonly reason: 'denied' | 'dismissed',
  ) {
    super(
      reason === 'denied'
        ? 'The browser blocks this site from reaching apps on this device. Open the site’s settings beside the address and allow it.'
        : 'The browser’s question was closed without an answer. Try again and choose Allow.',
      reason === 'denied'
        ? '浏览器禁止本网站访问此设备上的应用。请点击地址栏旁的网站设置并选择允许。'
        : '浏览器的询问未作选择即被关闭。请重试并选择“允许”。',
    );
  }
}

/** The page's own Content-Security-Policy lacks the agent's address. */
export class BlockedByCsp extends SealAgentError {
  readonly code = 'blocked_by_csp';

  constructor(readonly blockedUri: string) {
    super(
      `The site’s own Content-Security-Policy forbids the call. Its operator should add to connect-src: ${new URL(blockedUri).origin}`,
      `网站自身的内容安全策略（CSP）禁止此调用。请网站运营者在 connect-src 中加入：${new URL(blockedUri).origin}`,
    );
  }
}

/** No agent answers on any of the known ports. */
export class NotRunning extends SealAgentError {
  readonly code = 'not_running';

  constructor() {
    super('The seal program is not running on this computer. Start sealagent, then try again.', '本机签章程序未运行。请启动 sealagent 后重试。');
  }
}

/** The agent is there, but this site is not allowed: not paired yet, refused, revoked, or forbidden by policy. */
export class OriginNotApproved extends SealAgentError {
  readonly code = 'origin_not_approved';

  constructor(
    /** `unpaired`: `pair()` asks the person. `refused`, `expired`: they were asked. `forbidden`: asking is not possible. */
    readonly reason: 'unpaired' | 'refused' | 'expired' | 'forbidden',
  ) {
    super(
      {
        unpaired: 'This site is not paired with the seal program yet.',
        refused: 'The pairing of this site was refused.',
        expired: 'The pairing lapsed before it was answered. Start it again.',
        forbidden: 'The seal program does not allow this site. Ask your IT department.',
      }[reason],
      {
        unpaired: '本网站尚未与签章程序配对。',
        refused: '本网站的配对请求已被拒绝。',
        expired: '配对请求超时未答复，请重新发起。',
        forbidden: '签章程序不允许本网站使用，请联系信息部门。',
      }[reason],
    );
  }
}

/** Something answers on the agent's port but cannot prove that it is the agent that this site was paired with. */
export class AgentNotRecognised extends SealAgentError {
  readonly code = 'agent_not_recognised';

  constructor() {
    super(
      'The program that answers is not the one this site was paired with. If you removed the pairing yourself, pair again.',
      '应答的程序不是与本网站配对的签章程序。如果配对是您本人删除的，请重新配对。',
    );
  }
}

/** The agent and this library have no version of the interface in common. */
export class VersionTooOld extends SealAgentError {
  readonly code = 'version_too_old';

  constructor(
    /** Versions of the interface that the agent knows. */
    readonly agentVersions: readonly number[],
    /** Which of the two must be renewed. */
    readonly outdated: 'agent' | 'site',
  ) {
    super(
      outdated === 'agent' ? 'The seal program is too old for this site. Update sealagent.' : 'This site is too old for the seal program. Its operator must update the sealagent library.',
      outdated === 'agent' ? '签章程序版本过旧，请升级 sealagent。' : '本网站使用的 sealagent 组件版本过旧，请联系网站运营者升级。',
    );
  }
}

/** The page withdrew the call with its AbortSignal. */
export class Cancelled extends SealAgentError {
  readonly code = 'cancelled';

  constructor(options?: ErrorOptions) {
    super('The request was cancelled.', '请求已取消。', options);
  }
}

/** The agent accepts connections but does not answer. */
export class TimedOut extends SealAgentError {
  readonly code = 'timed_out';

  constructor(options?: ErrorOptions) {
    super('The seal program did not answer in time.', '签章程序未及时响应。', options);
  }
}

/** The connection broke in the middle of a call to an agent that answered before. */
export class ConnectionLost extends SealAgentError {
  readonly code = 'connection_lost';

  constructor(options?: ErrorOptions) {
    super('The connection to the seal program was lost. It may have been stopped.', '与签章程序的连接已中断，程序可能已退出。', options);
  }
}

/** The agent answered with an error of its catalogue. */
export class AgentRefused extends SealAgentError {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    messageZh: string,
    /** Names the call in the agent's log. */
    readonly requestId: string,
    readonly retryable: boolean,
    readonly detail: string | undefined,
  ) {
    super(message, messageZh);
  }
}

/** A signing request ended without a signature. */
export class NotSigned extends SealAgentError {
  constructor(
    /** How it ended. */
    readonly state: 'declined' | 'expired' | 'cancelled' | 'failed',
    /** The code of the first item that failed, else the state. */
    readonly code: string,
    message: string,
    messageZh: string,
    readonly detail: string | undefined,
  ) {
    super(message, messageZh);
  }
}

/** What all errors of this library have in common. */
export declare abstract class SealAgentError extends Error {
    /** Stable name of the situation. */
    abstract readonly code: string;
    /** The message in Chinese. */
    readonly messageZh: string;
    constructor(message: string, messageZh: string, options?: ErrorOptions);
}
/** The browser does not let this site reach the computer's own programs: the person said so, closed the question, or a policy did. */
export declare class BlockedByBrowser extends SealAgentError {
    /** `denied`: the site's settings must be changed. `dismissed`: the question was closed and may be asked again. */
    readonly reason: 'denied' | 'dismissed';
    readonly code = "blocked_by_browser";
    constructor(
    /** `denied`: the site's settings must be changed. `dismissed`: the question was closed and may be asked again. */
    reason: 'denied' | 'dismissed');
}
/** The page's own Content-Security-Policy lacks the agent's address. */
export declare class BlockedByCsp extends SealAgentError {
    readonly blockedUri: string;
    readonly code = "blocked_by_csp";
    constructor(blockedUri: string);
}
/** No agent answers on any of the known ports. */
export declare class NotRunning extends SealAgentError {
    readonly code = "not_running";
    constructor();
}
/** The agent is there, but this site is not allowed: not paired yet, refused, revoked, or forbidden by policy. */
export declare class OriginNotApproved extends SealAgentError {
    /** `unpaired`: `pair()` asks the person. `refused`, `expired`: they were asked. `forbidden`: asking is not possible. */
    readonly reason: 'unpaired' | 'refused' | 'expired' | 'forbidden';
    readonly code = "origin_not_approved";
    constructor(
    /** `unpaired`: `pair()` asks the person. `refused`, `expired`: they were asked. `forbidden`: asking is not possible. */
    reason: 'unpaired' | 'refused' | 'expired' | 'forbidden');
}
/** Something answers on the agent's port but cannot prove that it is the agent that this site was paired with. */
export declare class AgentNotRecognised extends SealAgentError {
    readonly code = "agent_not_recognised";
    constructor();
}
/** The agent and this library have no version of the interface in common. */
export declare class VersionTooOld extends SealAgentError {
    /** Versions of the interface that the agent knows. */
    readonly agentVersions: readonly number[];
    /** Which of the two must be renewed. */
    readonly outdated: 'agent' | 'site';
    readonly code = "version_too_old";
    constructor(
    /** Versions of the interface that the agent knows. */
    agentVersions: readonly number[], 
    /** Which of the two must be renewed. */
    outdated: 'agent' | 'site');
}
/** The page withdrew the call with its AbortSignal. */
export declare class Cancelled extends SealAgentError {
    readonly code = "cancelled";
    constructor(options?: ErrorOptions);
}
/** The agent accepts connections but does not answer. */
export declare class TimedOut extends SealAgentError {
    readonly code = "timed_out";
    constructor(options?: ErrorOptions);
}
/** The connection broke in the middle of a call to an agent that answered before. */
export declare class ConnectionLost extends SealAgentError {
    readonly code = "connection_lost";
    constructor(options?: ErrorOptions);
}
/** The agent answered with an error of its catalogue. */
export declare class AgentRefused extends SealAgentError {
    readonly status: number;
    readonly code: string;
    /** Names the call in the agent's log. */
    readonly requestId: string;
    readonly retryable: boolean;
    readonly detail: string | undefined;
    constructor(status: number, code: string, message: string, messageZh: string, 
    /** Names the call in the agent's log. */
    requestId: string, retryable: boolean, detail: string | undefined);
}
/** A signing request ended without a signature. */
export declare class NotSigned extends SealAgentError {
    /** How it ended. */
    readonly state: 'declined' | 'expired' | 'cancelled' | 'failed';
    /** The code of the first item that failed, else the state. */
    readonly code: string;
    readonly detail: string | undefined;
    constructor(
    /** How it ended. */
    state: 'declined' | 'expired' | 'cancelled' | 'failed', 
    /** The code of the first item that failed, else the state. */
    code: string, message: string, messageZh: string, detail: string | undefined);
}

/** What Azure says when it is the agent that is missing, and not what it was to do that failed. Its codes for this are not documented in one place. */
export const aboutAgent = /agent|not running|deallocated|stopped|VMExtensionProvisioningTimeout|VMExtensionHandlerNotReady|handler .*(not ready|unresponsive)/i;

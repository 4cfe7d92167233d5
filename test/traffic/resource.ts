/** What a call to Resource Manager is about: `POST Microsoft.Compute/disks/{}/beginGetAccess` is the action beginGetAccess of Microsoft.Compute/disks. */
export interface ResourceCall {
  readonly method: string;
  /** For instance Microsoft.Compute/virtualMachines/extensions. */
  readonly type: string;
  /** Of a POST; empty else. */
  readonly action: string;
}

/** Undefined for what is no call to a resource of Resource Manager. */
export function resourceOf(call: string): ResourceCall | undefined {
  const match = /^(GET|HEAD|PUT|PATCH|POST|DELETE) ([A-Za-z]+\.[A-Za-z.]+)\/([^?]+)/.exec(call);
  if (!match) return undefined;
  const [, method = '', namespace = '', path = ''] = match;
  const parts = path.split('/');
  const action = method === 'POST' ? parts.pop() ?? '' : '';
  return { method, type: [namespace, ...parts.filter((part) => part !== '{}')].join('/'), action };
}

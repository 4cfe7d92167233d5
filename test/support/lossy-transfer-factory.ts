// Opens what a home's threads open, but its targets lose a byte of what is written to them.
import type { TransferFactory } from '../../vault/transfer/transfer-factory';
import { transferFactory as plain } from './home-transfer-factory';

export const transferFactory: TransferFactory = {
  openStore: (spec) => plain.openStore(spec),
  openSource: (spec, renew) => plain.openSource(spec, renew),
  async openSink(spec, renew) {
    const sink = await plain.openSink(spec, renew);
    return new Proxy(sink, {
      get(target, name) {
        if (name === 'write') return (data: Buffer, offset: number) => target.write(Buffer.concat([Buffer.from([(data[0] ?? 0) ^ 1]), data.subarray(1)]), offset);
        const member: unknown = Reflect.get(target, name);
        return typeof member === 'function' ? (member.bind(target) as unknown) : member;
      },
    });
  },
};

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { isOwnerGone, processOwner } from '../../cli/run-owner';

describe('who runs a backup', () => {
  const parts = (): string[] => processOwner().split(':');
  const owner = (changes: Readonly<Record<number, string>>): string => parts().map((part, index) => changes[index] ?? part).join(':');

  it('is this process, which is not gone', () => {
    assert.match(processOwner(), /^process:[^:]+:\d+:/);
    assert.equal(processOwner(), processOwner());
    assert.equal(isOwnerGone(processOwner()), false);
  });

  it('is gone when its process has ended', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'], { stdio: 'ignore' });
    const text = spawnSync(process.execPath, ['-e', `
      const owner = require(${JSON.stringify(require.resolve('../../cli/run-owner'))}).processOwner();
      process.stdout.write(owner);`], { encoding: 'utf8' }).stdout;
    assert.equal(isOwnerGone(text), true, text);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    assert.equal(isOwnerGone(owner({ 2: String(child.pid) })), true);
  });

  it('is gone when its pid belongs to a process that started at another time', function () {
    if (parts()[3] === '') {
      process.stderr.write('run owner: this system does not tell when a process started\n');
      return this.skip();
    }
    assert.equal(isOwnerGone(owner({ 3: '1' })), true);
  });

  it('is never gone for certain when it ran elsewhere, or is none of ours', () => {
    const dead = '4194304';
    assert.equal(isOwnerGone(owner({ 1: 'another-host', 2: dead })), false);
    assert.equal(isOwnerGone(owner({ 4: 'another-boot', 6: '' })), false);
    assert.equal(isOwnerGone(owner({ 4: 'another-boot', 6: 'another-machine' })), false);
    assert.equal(isOwnerGone(owner({ 5: '1', 2: dead })), false);
    for (const other of ['', 'process', 'process:host', 'orchestration:backup-web-2026', `process:${parts()[1]}:0:1`, `process:${parts()[1]}:x:1`]) assert.equal(isOwnerGone(other), false, other);
  });

  it('is gone when this machine has booted since', function () {
    if (parts()[6] === '') {
      process.stderr.write('run owner: this system has no machine id\n');
      return this.skip();
    }
    assert.equal(isOwnerGone(owner({ 4: 'another-boot' })), true);
  });
});

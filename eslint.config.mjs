// The rules a reader can rely on: which room may import which, and what an orchestration may touch.
import { builtinModules } from 'node:module';
import js from '@eslint/js';
import tseslint from 'typescript-eslint';

const nodeBuiltins = builtinModules.flatMap((name) => [name, `node:${name}`]);
const room = (name) => `^(\\.{1,2}/)+${name}(/|$)`;

/** Forbids imports from other rooms and packages by regular expression, with the reason in the message. */
const forbid = (rooms, packages, message) => ({
  'no-restricted-imports': ['error', {
    patterns: [
      ...rooms.map((name) => ({ regex: room(name), message })),
      ...packages.map((regex) => ({ regex, message })),
    ],
  }],
});

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', '.holdfast/', '.bench/', '.bicep/', '.package/'] },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts', '**/*.tsx'],
    languageOptions: { parserOptions: { project: ['./tsconfig.json', './portal/tsconfig.json'], tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      'no-empty': ['error', { allowEmptyCatch: false }],
      eqeqeq: 'error',
    },
  },
  {
    files: ['bin/**/*.js'],
    languageOptions: { sourceType: 'commonjs', globals: { require: 'readonly', process: 'readonly', console: 'readonly', __dirname: 'readonly' } },
    rules: { '@typescript-eslint/no-require-imports': 'off' },
  },
  {
    files: ['vault/**/*.ts'],
    rules: forbid(['access', 'azure', 'local', 'activities', 'orchestrations', 'functions', 'cli', 'policy', 'telemetry'], ['^@azure/', '^durable-functions$', '^@opentelemetry/'],
      'vault/ is the format alone: it knows neither Azure nor the host. Own an interface here and let azure/ or local/ implement it.'),
  },
  {
    files: ['access/**/*.ts'],
    rules: forbid(['azure', 'local', 'activities', 'orchestrations', 'functions', 'cli', 'policy', 'telemetry', 'vault'], ['^@azure/', '^durable-functions$', '^@opentelemetry/'],
      'access/ finds out who is calling and what they may do, and knows nothing of what is done: it imports errors/ alone.'),
  },
  {
    files: ['policy/**/*.ts'],
    rules: forbid(['access', 'azure', 'local', 'activities', 'orchestrations', 'functions', 'cli', 'vault', 'telemetry'], ['^@azure/', '^durable-functions$'],
      'policy/ holds pure functions of their arguments and a given clock.'),
  },
  {
    files: ['activities/**/*.ts'],
    rules: forbid(['access', 'webhooks', 'azure', 'local', 'functions', 'cli', 'telemetry(?=/)'], ['^@azure/', '^durable-functions$', '^@opentelemetry/'],
      'An activity gets what it needs from its deps; only the composition roots know azure/ and local/.'),
  },
  {
    files: ['azure/**/*.ts'],
    rules: forbid(['access(?=/)', 'local', 'orchestrations', 'functions', 'cli'], ['^durable-functions$', '^@opentelemetry/'], 'azure/ adapts clients to interfaces that their users own.'),
  },
  {
    files: ['webhooks/**/*.ts'],
    rules: forbid(['access', 'azure', 'local', 'orchestrations', 'functions', 'cli', 'policy', 'telemetry', 'vault'], ['^@azure/', '^durable-functions$', '^@opentelemetry/'],
      'webhooks/ implements what activities/courier.ts asks for, and knows nothing of what it brings.'),
  },
  {
    files: ['telemetry/**/*.ts'],
    rules: forbid(['access', 'azure', 'local', 'orchestrations', 'functions', 'cli'], ['^durable-functions$', '^@azure/(?!monitor-opentelemetry-exporter$)'],
      'telemetry/ implements what activities/telemetry.ts asks for, and knows nothing of what is told through it.'),
  },
  {
    files: ['orchestrations/**/*.ts'],
    rules: {
      'no-restricted-imports': ['error', {
        paths: nodeBuiltins.map((name) => ({ name, message: 'An orchestration does no I/O: put it in an activity.' })),
        patterns: [
          { regex: '^@azure/', message: 'An orchestration does no I/O: put it in an activity.' },
          { regex: room('(access|azure|local|functions|cli|vault|telemetry)'), allowTypeImports: true, message: 'An orchestration imports types and names only.' },
        ],
      }],
      'no-restricted-globals': ['error', 'process', 'fetch', 'setTimeout', 'setInterval', 'setImmediate', 'performance', 'crypto', 'console'],
      'no-restricted-properties': ['error',
        { object: 'Date', property: 'now', message: 'Time comes from context.df.currentUtcDateTime.' },
        { object: 'Math', property: 'random', message: 'An orchestration must be deterministic.' }],
      'no-restricted-syntax': ['error',
        { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'Time comes from context.df.currentUtcDateTime.' },
        { selector: 'AwaitExpression', message: 'An orchestration yields tasks; it never awaits.' },
        { selector: "ThrowStatement > :not(NewExpression, Identifier)", message: 'Throwing a non-Error leaves the instance running for ever.' }],
    },
  },
  {
    files: ['portal/**/*.ts', 'portal/**/*.tsx'],
    rules: {
      ...forbid(['activities', 'azure', 'bench', 'cli', 'errors', 'functions', 'infra', 'local', 'orchestrations', 'policy', 'telemetry', 'test', 'vault'], ['^node:', '^@azure/', '^zod$'],
        'portal/ is a client of the HTTP API and nothing else: it imports no other room.'),
      'no-restricted-properties': ['error', ...['innerHTML', 'outerHTML', 'insertAdjacentHTML', 'srcdoc', 'write', 'writeln', 'createContextualFragment', 'parseFromString', 'setHTMLUnsafe']
        .map((property) => ({ property, message: 'What is shown is text (threat 15): let the library make a text node.' }))],
      'no-restricted-syntax': ['error', { selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']", message: 'What is shown is text (threat 15).' },],
      'no-restricted-globals': ['error', 'eval', 'Function', 'XMLHttpRequest', 'WebSocket', 'EventSource'],
    },
  },
  {
    files: ['portal/build.mjs'],
    languageOptions: { globals: { Buffer: 'readonly' } },
  },
  {
    files: ['functions/**/*.ts'],
    ignores: ['functions/compose.ts'],
    rules: forbid(['azure', 'local', 'cli'], ['^@azure/(?!functions$)'], 'A trigger parses, authorises, starts or asks, and replies; compose.ts is the composition root.'),
  },
);

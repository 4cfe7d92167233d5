// The app's main: what Azure Functions, Core Tools and the local home load.
import { registerApp } from './app';
import { compose, startMonitoring } from './compose';
import { registerExport } from './tracing';

const monitoring = startMonitoring(process.env);
if (monitoring) registerExport(monitoring);
registerApp(compose(process.env));

// The app's main: what Azure Functions, Core Tools and the local home load.
import { registerApp } from './app';
import { compose } from './compose';

registerApp(compose(process.env));

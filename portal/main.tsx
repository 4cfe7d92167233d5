import { render } from 'preact';
import 'uplot/dist/uPlot.min.css';
import './style.css';
import { takeToken } from './api';
import { App } from './app';
import { applyTheme } from './parts/theme';

takeToken();
applyTheme();
render(<App />, document.getElementById('app') as HTMLElement);

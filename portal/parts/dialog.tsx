import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { ProblemBox, useAction } from './basics';

/** A modal dialog: the browser's own, which keeps the focus within and closes by Escape. */
export function Dialog({ title, onClose, children }: { title: string; onClose: () => void; children: ComponentChildren }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    const element = dialog.current;
    element?.showModal();
    return () => {
      // While it is open nothing behind it takes the focus.
      element?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby={id} onCancel={(event) => { event.preventDefault(); onClose(); }}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

interface ConfirmProps {
  readonly title: string;
  readonly children: ComponentChildren;
  readonly verb: string;
  readonly danger?: boolean;
  /** A text that has to be typed first, where what follows cannot be taken back. */
  readonly typed?: string;
  readonly onClose: () => void;
  readonly work: () => Promise<void>;
}

/** Asks before something is done, does it, and stays open with the reason when it was refused. */
export function Confirm({ title, children, verb, danger = false, typed, onClose, work }: ConfirmProps): JSX.Element {
  const [text, setText] = useState('');
  const action = useAction(async () => {
    await work();
    onClose();
  });
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={(event) => { event.preventDefault(); if (typed === undefined || text === typed) action.run(); }}>
        <div class="dialog-body">
          {children}
          {typed !== undefined && <label class="field"><span class="field-label">Type <code>{typed}</code> to go on</span><input value={text} autocomplete="off" spellcheck={false} onInput={(event) => setText(event.currentTarget.value)} /></label>}
          {action.problem && <ProblemBox problem={action.problem} />}
        </div>
        <div class="dialog-foot">
          <button type="button" onClick={onClose}>Cancel</button>
          <button type="submit" class={danger ? 'danger' : 'primary'} disabled={action.busy || (typed !== undefined && text !== typed)}>{action.busy ? 'Working …' : verb}</button>
        </div>
      </form>
    </Dialog>
  );
}


import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { call, dropToken, hasToken, setToken } from '../api';
import { Field, Head, ProblemBox, useAction } from './basics';

const PLATFORM_SIGN_IN = `/.auth/login/aad?post_login_redirect_uri=${encodeURIComponent('/')}`;

/** What is shown to who is not signed in: on one machine the token of the terminal, in Azure the sign-in of the platform. */
export function SignIn({ onDone }: { onDone: () => void }): JSX.Element {
  const [token, write] = useState('');
  const isHere = ['127.0.0.1', 'localhost', '[::1]'].includes(location.hostname);
  const action = useAction(async () => {
    setToken(token.trim());
    try {
      await call('GET', '/api/me');
    } catch (error) {
      dropToken();
      throw error;
    }
    onDone();
  });
  return (
    <div class="narrow">
      <Head title="Sign in" />
      {hasToken() && <p>The token that this tab has is no longer good: the app was started anew, or it is another app's.</p>}
      {isHere ? (
        <form class="card pad" onSubmit={(event) => { event.preventDefault(); action.run(); }}>
          <Field label="Token" hint="The terminal in which `npm start` runs shows an address with the token in it. Open that address, or copy what stands behind token= into this field.">
            <input type="password" autocomplete="off" value={token} onInput={(event) => write(event.currentTarget.value)} />
          </Field>
          {action.problem && <ProblemBox problem={action.problem} />}
          <button type="submit" class="primary" disabled={action.busy || token.trim() === ''}>Sign in</button>
        </form>
      ) : (
        <div class="card pad">
          <p>You sign in with your account of Entra ID. What you may do depends on the role that an administrator gave you.</p>
          <p><a class="button primary" href={PLATFORM_SIGN_IN}>Sign in with Entra ID</a></p>
        </div>
      )}
    </div>
  );
}

// Gives the token to the server once, in a body, and goes on to where the person wanted to go with the cookie that came back.
const form = document.getElementById('form');
const input = document.getElementById('token');
const said = document.getElementById('said');
const AGAIN = 'brakit: logged in, shown again';

function goOn() {
  location.replace(location.href);
}

// A link from another site comes without the cookie, which a call from this page has: who has one need not log in again.
async function alreadyIn() {
  if (sessionStorage.getItem(AGAIN)) {
    sessionStorage.removeItem(AGAIN);
    return;
  }
  const answer = await fetch('/__brakit/api/hello', { cache: 'no-store' });
  if (!answer.ok) return;
  sessionStorage.setItem(AGAIN, '1');
  goOn();
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  said.textContent = '';
  try {
    const answer = await fetch('/__brakit/api/login', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token: input.value.trim() }),
    });
    if (answer.ok) {
      input.value = '';
      goOn();
      return;
    }
    said.textContent = (await answer.json()).error;
  } catch {
    said.textContent = 'The brakit server does not answer. Is it still running?';
  }
  input.select();
});

alreadyIn().catch(() => undefined);

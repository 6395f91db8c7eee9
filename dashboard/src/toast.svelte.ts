// A short word at the page's edge about what was just done.

class Toast {
  text = $state('');
  bad = $state(false);
  #timer: ReturnType<typeof setTimeout> | undefined;

  say(text: string, options: { bad?: boolean } = {}): void {
    this.text = text;
    this.bad = options.bad ?? false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (this.text = ''), this.bad ? 6000 : 2200);
  }
}

export const toast = new Toast();

/** Put text on the clipboard and say so. */
export async function copy(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toast.say(`${what} copied`);
  } catch {
    toast.say('The browser does not allow copying here.', { bad: true });
  }
}

// The clock that ages are counted from: ticks once a second, and not while nobody looks.

class Clock {
  now = $state(Date.now());

  constructor() {
    setInterval(() => {
      if (document.visibilityState === 'visible') this.now = Date.now();
    }, 1000);
  }
}

export const time = new Clock();

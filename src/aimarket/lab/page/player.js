// Time: playing a market month by month, and stepping through it.
const $ = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** What plays: `now` gives the month shown and how many there are, `show` shows another. */
export function makePlayer(now, show) {
  let playing;

  function pause() {
    clearInterval(playing);
    playing = undefined;
    $("play").textContent = "Play";
  }

  function play() {
    if (playing) return pause();
    const [stride, wait] = calm.matches ? [12, 1000] : [1, 60];
    if (now().month >= now().months) show(1);
    $("play").textContent = "Pause";
    playing = setInterval(() => {
      const next = Math.min(now().months, now().month + stride);
      show(next);
      if (next === now().months) pause();
    }, wait);
    return undefined;
  }

  function step(by) {
    pause();
    show(Math.min(now().months, Math.max(1, now().month + by)));
  }

  return { pause, play, step };
}

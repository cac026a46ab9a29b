// Says which track the edge chose for this visitor, and why. A page cannot read the headers that it came with, so
// it asks once more, for nothing else; the same cookies are decided alike.

const WHY = {
  preview: "you opened a preview link",
  match: "a rule names your account",
  share: "you are among the visitors who get it first",
};

const response = await fetch("/track", { cache: "no-store" }).catch(() => null);
if (response?.ok) {
  // TRACK; reason=REASON, of `expose: true`. Nothing for baseline.
  const [track, reason] = response.headers.get("x-release-track")?.split("; reason=") ?? [];
  const line = document.getElementById("track");
  const words = WHY[reason] ? `${WHY[reason]} (${reason})` : `reason: ${reason}`;
  line.textContent = track ? `Track ${track}: ${words}.` : "No track: the version for everybody.";
  line.dataset.reason = reason ?? "none";
  line.hidden = false;
  for (const [id, shown] of [["offer", reason !== "preview"], ["end", reason === "preview"]]) {
    document.getElementById(id)?.toggleAttribute("hidden", !shown);
  }
}

"""One animated picture of the scenes that the browser test has taken: python3 recording.py FOLDER PICTURE."""

import json
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

WIDTH, CAPTION = 1000, 56
MOST = 1_000_000  # bytes


def main(folder, picture):
    scenes = json.loads((folder / "scenes.json").read_text())
    frames = [frame(folder / scene["file"], scene["says"]) for scene in scenes]
    durations = [round(scene["seconds"] * 1000) for scene in scenes]
    frames[0].save(picture, save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=80, method=6)
    size = picture.stat().st_size
    print(f"{picture}: {size:,} bytes, {len(frames)} scenes, {sum(durations) / 1000:.0f} s")
    if size >= MOST:
        sys.exit(f"{picture} may have less than {MOST:,} bytes")


def frame(file, says):
    """The scene, with what it says below it."""
    scene = Image.open(file).convert("RGB")
    scene = scene.resize((WIDTH, scene.height * WIDTH // scene.width), Image.Resampling.LANCZOS)
    whole = Image.new("RGB", (WIDTH, scene.height + CAPTION), "#1d4ed8")
    whole.paste(scene, (0, 0))
    middle = (WIDTH / 2, scene.height + CAPTION / 2)
    ImageDraw.Draw(whole).text(middle, says, fill="white", font=ImageFont.load_default(26), anchor="mm")
    return whole


main(*map(Path, sys.argv[1:]))

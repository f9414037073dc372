/** Yields the data of each complete server-sent event of a body as it arrives. */
export async function* events(body) {
  let rest = "";
  for await (const text of texts(body)) {
    const frames = (rest + text).split(/\r?\n\r?\n/);
    rest = frames.pop();
    yield* frames.map(dataOf).filter(Boolean);
  }
}

async function* texts(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    yield value;
  }
}

function dataOf(frame) {
  const lines = frame.split(/\r?\n/).filter((line) => line.startsWith("data:"));
  return lines.map((line) => line.slice("data:".length).trim()).join("\n");
}

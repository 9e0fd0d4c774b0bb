// Lays out a graph in Graphviz's language from stdin and writes it to stdout as SVG.
const { instance } = require("@viz-js/viz");

const text = require("node:fs").readFileSync(0, "utf8");
instance().then((viz) => {
  const made = viz.render(text, { format: "svg", yInvert: false });
  if (made.status !== "success") {
    process.stderr.write(made.errors.map((error) => error.message).join("\n"));
    process.exit(1);
  }
  process.stdout.write(made.output);
});

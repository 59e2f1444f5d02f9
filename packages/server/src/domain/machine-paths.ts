/** Where a computer's own files are, the same in all of them. */
const INSIDE = /^\/(?:session|opt\/raworc|run\/raworc)(?:\/|$)/;
/** Of two parts and more. What follows a host's name or a method is no path of a file. */
const PATH = /(?<![\w.~:/@-])(?<!\b(?:GET|HEAD|POST|PUT|DELETE) )\/[^\s"'`:;,()<>|/]+(?:\/[^\s"'`:;,()<>|/]+)+\/?/g;

/**
 * A text for people who may not know how the server's machine looks: of its paths only the last part is left, which tells
 * what is meant.
 */
export function withoutMachinePaths(text: string): string {
  return text.replace(PATH, (path) => {
    if (INSIDE.test(path)) return path;
    return `…/${path.split("/").findLast((part) => part !== "") ?? ""}`;
  });
}

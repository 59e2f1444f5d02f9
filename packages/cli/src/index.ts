export { Context } from "./context.ts";
export { createProgram, runProgram } from "./program.ts";

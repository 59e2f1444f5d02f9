/** Version of the product; one for all packages. A test compares it with package.json. */
export const VERSION = "0.3.0";

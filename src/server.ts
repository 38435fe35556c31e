/** What `node dist/server.js` starts; the build makes a few files of it and of all that it needs (`scripts/bundle.mjs`). */
import { serve } from "./serve.ts";

await serve();

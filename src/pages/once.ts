import { sha256 } from "../secrets/digest.ts";

/**
 * The pages' only script: a form is sent once. The second click of a double click would be a request of its own, whose
 * answer takes the place of the first one's; by then the code is used and the cookie another. Ten seconds later, and
 * after going back, it may be sent again.
 */
export const once = `let sent=-1e9
addEventListener("submit",(event)=>{if(event.timeStamp-sent<1e4)event.preventDefault();else sent=event.timeStamp})
addEventListener("pageshow",()=>{sent=-1e9})`;

/** By its digest, so that the policy allows this text and no other. */
export const once_source = `'sha256-${Buffer.from(sha256(once)).toString("base64")}'`;

/** Does of one key's work one at a time, in the order in which it came; what others have failed at fails nobody else. */
export type InTurn = <T>(key: string, work: () => Promise<T>) => Promise<T>;

export function openInTurn(): InTurn {
  const last = new Map<string, Promise<void>>();
  return (key, work) => {
    const mine = last.get(key)?.then(work) ?? work();
    const over = mine.then(
      () => {},
      () => {},
    );
    last.set(key, over);
    void over.then(() => last.get(key) === over && last.delete(key));
    return mine;
  };
}

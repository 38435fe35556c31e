-- Apart from what took its place: where a long reader is in its way, no index is built again each time that it is tried.
drop index if exists budgets_window;

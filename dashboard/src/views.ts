// The views are the files of the folder `views`; each says in its `view` what it is called and where it is.
import type { Component } from 'svelte';
import type { IconName } from './icons.ts';
import { match } from './router.svelte.ts';

export interface View {
  title: string;
  /** Below /__brakit; `:name` stands for one part and is passed as a property. */
  path: string;
  icon: IconName;
  /** Place in the navigation, from 1; without one the view is reached by links only. */
  order?: number;
  /** Letter that goes there after `g`. */
  letter?: string;
}

interface Module {
  default: Component<Record<string, string>>;
  view: View;
}

const modules = Object.values(import.meta.glob<Module>('./views/*.svelte', { eager: true }));

export const navigation: View[] = modules
  .map((module) => module.view)
  .filter((view) => view.order !== undefined)
  .sort((a, b) => (a.order ?? 0) - (b.order ?? 0));

/** The view at a path, with what the path says; undefined when there is none. */
export function viewAt(path: string): { module: Module; props: Record<string, string> } | undefined {
  for (const module of modules) {
    const props = match(module.view.path, path);
    if (props) return { module, props };
  }
  return undefined;
}

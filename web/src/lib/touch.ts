/** Whether fingers do the pointing: nothing can be dropped there, and the camera app is at hand. */
export const TOUCH = matchMedia('(pointer: coarse)').matches;

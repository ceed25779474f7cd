// Puts the page together: both sides follow each other, and the state follows the sandbox.

import { follow } from "/static/api.js";
import { Beginning } from "/static/begin.js";
import { Desk } from "/static/desk.js";
import { Devices } from "/static/devices.js";
import { showStatusBar } from "/static/status_bar.js";

const desk = new Desk((channel, customer) => {
  if (customer && devices.state.channels[channel]?.customers.some((each) => each.id === customer)) {
    devices.turnTo(channel, customer, false);
  }
});
const devices = new Devices((channel, customer) => desk.turnTo(channel, customer));
const beginning = new Beginning((number, channel, customer) => {
  devices.turnTo(channel, customer, false);
  desk.openUp(number);
});

let first = true;
follow((state) => {
  devices.show(state);
  desk.show(state);
  beginning.show(state);
  showStatusBar(state);
  const newest = state.conversations[0];
  if (first && newest?.channel) {
    devices.turnTo(newest.channel, newest.customer, true);
  } else if (desk.open === undefined && newest) {
    desk.turnTo(devices.channel, devices.customer.id);
  }
  first = false;
});
